//! One line of a result, as JSON and as a row of the table.

use serde::Serialize;

/// What one case gave.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// Who forwarded.
    pub who: String,
    /// What was sent.
    pub load: String,
    /// Subscribers of each meeting.
    pub subscribers: usize,
    /// Packets in, a second.
    pub pps_in: u64,
    /// CPU time of the forwarder per packet that left it.
    pub ns_per_packet: u64,
    /// Median way of a packet.
    pub p50_us: u64,
    /// 99 of 100 are faster.
    pub p99_us: u64,
    /// Share that did not arrive, worst of the windows.
    pub loss: f64,
    /// Packets out of order at the probes, all windows.
    pub out_of_order: u64,
    /// Share of packets sent by GSO, where it is known.
    pub gso_share: Option<f64>,
    /// Cipher of the media.
    pub cipher: String,
    /// Packets out, a second.
    pub pps_out: u64,
    /// Share of one core.
    pub core_share: f64,
    /// Resident memory of a peer's process, KiB.
    pub resident_kib: Option<u64>,
    /// Load average when the case ended: above the number of cores nothing here is worth much.
    pub machine_load: f64,
}

impl Line {
    /// Head of the table.
    pub const HEAD: &str =
        "who              load       subs  pps in  pps out  ns/packet  core   p50 us  p99 us   loss %  late  by GSO";

    /// A row of the table.
    pub fn row(&self) -> String {
        let share = self.gso_share.map_or_else(|| "-".into(), |share| format!("{:.0} %", share * 100.0));
        let cipher = if self.cipher == "AEAD_AES_256_GCM" { "" } else { &self.cipher };
        format!(
            "{:<16} {:<9} {:>5} {:>7} {:>8} {:>10} {:>4.0} % {:>7} {:>7} {:>8.2} {:>5} {:>7} {cipher}",
            self.who,
            self.load,
            self.subscribers,
            self.pps_in,
            self.pps_out,
            self.ns_per_packet,
            self.core_share * 100.0,
            self.p50_us,
            self.p99_us,
            self.loss * 100.0,
            self.out_of_order,
            share
        )
    }
}
