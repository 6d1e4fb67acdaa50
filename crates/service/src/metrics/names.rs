//! Every metric of every service with its meaning. Dashboard, alert rules and documentation are held against this list.

use super::{Kind, Metric};

macro_rules! metrics {
    ($list:ident, $about:literal: $($kind:ident $ident:ident $name:literal $help:literal)*) => {
        $(#[doc = $help] pub static $ident: Metric = Metric::new(Kind::$kind, $name, $help);)*
        #[doc = $about]
        pub static $list: &[&Metric] = &[$(&$ident),*];
    };
}

metrics! { EVERY, "Of every service.":
    Gauge BUILD_INFO "strongroom_build_info" "1, with the version of the program."
    Counter SECURITY_EVENTS "strongroom_security_events_total" "Security events reported, by event."
    Counter SECURITY_EVENTS_LOST "strongroom_security_events_lost_total" "Security events that the configured target did not take."
    Gauge PROCESS_MEMORY "process_resident_memory_bytes" "Memory that is in RAM."
    Counter PROCESS_CPU "process_cpu_seconds_total" "Processor time used, whole seconds."
    Gauge PROCESS_OPEN_FDS "process_open_fds" "Open descriptors."
    Gauge PROCESS_START "process_start_time_seconds" "When the process was started, Unix time."
}

/// `strongroom-sfu`.
pub mod sfu {
    use super::{Kind, Metric};

    metrics! { LIST, "Sums over all shards.":
        Gauge CONTROL_LINK_UP "strongroom_sfu_control_link_up" "1 while the control link to signaling is up."
        Gauge SHARDS "strongroom_sfu_shards" "Shards of this node."
        Gauge TRANSPORTS "strongroom_sfu_transports" "Transports of participants, two each."
        Gauge TCP_CONNECTIONS "strongroom_sfu_tcp_connections" "Media connections over TCP."
        Gauge TCP_QUEUED_BYTES "strongroom_sfu_tcp_queued_bytes" "Bytes that wait for receivers over TCP."
        Gauge PROVEN_ADDRESSES "strongroom_sfu_proven_addresses" "Addresses that proved themselves by ICE."
        Gauge PACKET_HISTORY_BYTES "strongroom_sfu_packet_history_bytes" "Bytes of packets kept for retransmission."
        Gauge UDP_SOCKET_BUFFER_BYTES "strongroom_sfu_udp_socket_buffer_bytes" "Bytes that the kernel may hold for the sockets."
        Gauge MEETINGS "strongroom_sfu_meetings" "Meetings that run."
        Gauge PARTICIPANTS "strongroom_sfu_participants" "Participants in meetings."
        Counter TCP_REFUSED_AT_GATE "strongroom_sfu_tcp_refused_at_gate_total" "TCP connections refused before they proved anything."
        Counter RECEIVED_PACKETS "strongroom_sfu_received_packets_total" "Media packets received."
        Counter RECEIVED_BYTES "strongroom_sfu_received_bytes_total" "Bytes of media received."
        Counter FORWARDED_PACKETS "strongroom_sfu_forwarded_packets_total" "Media packets forwarded to subscribers."
        Counter FORWARDED_BYTES "strongroom_sfu_forwarded_bytes_total" "Bytes of media forwarded."
        Counter RETRANSMITTED_PACKETS "strongroom_sfu_retransmitted_packets_total" "Packets sent again on request."
        Counter RECOVERED_PACKETS "strongroom_sfu_recovered_packets_total" "Lost packets that a publisher sent again."
        Counter REFUSED_NOT_SEALED "strongroom_sfu_refused_not_sealed_total" "Frames refused because they are not in SFrame form."
        Counter REFUSED_WRONG_LEAF "strongroom_sfu_refused_wrong_leaf_total" "Frames refused because their key id is another participant's."
        Counter LEAF_UNCHECKED "strongroom_sfu_leaf_unchecked_frames_total" "Frames of an epoch without a leaf line, passed unchecked."
        Counter DROPPED_SUSPENDED "strongroom_sfu_dropped_suspended_total" "Packets dropped because a firm's recording was not acknowledged."
        Counter DROPPED_NOT_PERMITTED "strongroom_sfu_dropped_not_permitted_total" "Packets dropped because their sender may not publish."
        Counter DROPPED_FLOOD "strongroom_sfu_dropped_flood_total" "Packets dropped because one sender sent too many."
        Counter DROPPED_UNUSABLE "strongroom_sfu_dropped_unusable_total" "Packets dropped because nothing can be made of them."
        Counter KEY_REQUESTS "strongroom_sfu_key_requests_total" "Key frames asked of publishers."
        Counter NACKED "strongroom_sfu_nacked_total" "Packets that subscribers asked for again."
        Counter NACKS_SENT "strongroom_sfu_nacks_sent_total" "Packets that were asked of publishers again."
        Counter RECORDED_MESSAGES "strongroom_sfu_recorded_messages_total" "Messages handed to record links."
        Counter RECORD_LOST_MESSAGES "strongroom_sfu_record_lost_messages_total" "Messages that a record link did not take."
        Counter UNPROVEN_DATAGRAMS "strongroom_sfu_unproven_datagrams_total" "Datagrams of strangers."
        Counter BAD_STUN "strongroom_sfu_bad_stun_total" "STUN messages that do not verify."
        Counter TCP_REFUSED "strongroom_sfu_tcp_refused_total" "TCP connections of strangers refused by a shard."
        Counter TCP_DROPPED "strongroom_sfu_tcp_dropped_total" "Packets dropped for receivers that do not read."
        Counter SRTP_NOT_OPENED "strongroom_sfu_srtp_not_opened_total" "Packets whose hop protection does not verify."
        Counter SRTP_NOT_SEALED "strongroom_sfu_srtp_not_sealed_total" "Packets that could not be protected for a hop."
        Counter SEND_DROPPED "strongroom_sfu_send_dropped_total" "Datagrams that the kernel did not take."
        Counter SENT_IN_RUNS "strongroom_sfu_sent_in_runs_total" "Datagrams sent several at once."
        Counter SENT_ALONE "strongroom_sfu_sent_alone_total" "Datagrams sent one by one."
        Counter CONTROL_MESSAGES_DROPPED "strongroom_sfu_control_messages_dropped_total" "Messages to signaling that found no place."
        Counter RTCP_SENT "strongroom_sfu_rtcp_sent_total" "Control packets sent."
        Counter DROPPED_OVERLOAD "strongroom_sfu_dropped_overload_total" "Packets left out because a shard cannot keep up."
        Counter PANICS "strongroom_sfu_panics_total" "Panics caught; each ended one participant, at worst one meeting."
    }

    metrics! { BY_SHARD, "One line for each shard, by its number.":
        Gauge SHARD_BUSY "strongroom_sfu_shard_busy_permille" "How busy a shard's processor is."
        Gauge SHARD_SHEDDING "strongroom_sfu_shard_shedding" "What a shard leaves out: 0 nothing, 1 upper layers, 2 pictures, 3 new joins."
    }
}

/// `strongroom-signaling`.
pub mod signaling {
    use super::{Kind, Metric};

    metrics! { LIST, "Of the process.":
        Gauge CONNECTIONS "strongroom_signaling_connections" "Participants' connections that are in a room."
        Gauge MEETINGS "strongroom_signaling_meetings" "Meetings that run."
        Gauge SFU_UP "strongroom_signaling_sfu_up" "1 while an SFU's control link is up."
        Gauge DIRECTORY_UP "strongroom_signaling_directory_up" "1 while the room directory is heard of; at 0 nobody new comes in."
        Counter JOINS "strongroom_signaling_joins_total" "Connections that were admitted into a meeting."
        Counter REFUSED "strongroom_signaling_refused_total" "Connections refused, before or in a room."
        Counter DIRECTORY_FAILED "strongroom_signaling_directory_failed_total" "Questions that the room directory did not answer."
    }
}

/// `strongroom-recorder`.
pub mod recorder {
    use super::{Kind, Metric};

    metrics! { LIST, "Of the process.":
        Gauge ROOMS "strongroom_recorder_rooms" "Rooms that it watches."
        Gauge DISK_FREE_BYTES "strongroom_recorder_disk_free_bytes" "Bytes free for the archive folder."
        Gauge CUSTODY_UP "strongroom_recorder_custody_up" "1 while the record token's process takes connections."
        Counter RECORDINGS "strongroom_recorder_recordings_total" "Recordings begun or gone on with."
        Counter RECORDINGS_REFUSED "strongroom_recorder_recordings_refused_total" "Recordings that could not start."
        Counter RECORD_LINK_LOST "strongroom_recorder_record_link_lost_total" "Record links that went down."
    }
}

/// `strongroom-front`.
pub mod front {
    use super::{Kind, Metric};

    metrics! { LIST, "Of the process.":
        Gauge CUSTODY_UP "strongroom_front_custody_up" "1 while the people and archive tokens' processes take connections."
        Gauge DIRECTORY_UP "strongroom_front_directory_up" "1 while the people directory was read whole and answers; 0 where none is configured."
        Counter REQUESTS "strongroom_front_requests_total" "Requests answered, pages included."
        Counter REFUSED "strongroom_front_refused_total" "Requests answered with 401 or 403."
        Counter FAILED "strongroom_front_failed_total" "Requests answered with 500 or above."
    }
}

/// `strongroom-custody`.
pub mod custody {
    use super::{Kind, Metric};

    metrics! { LIST, "Of one token's process.":
        Counter REQUESTS "strongroom_custody_requests_total" "Requests answered."
        Counter REFUSED "strongroom_custody_refused_total" "Requests refused."
        Counter UNAVAILABLE "strongroom_custody_unavailable_total" "Requests that the token did not carry out."
        Counter BUSY_MILLISECONDS "strongroom_custody_busy_milliseconds_total" "Time spent answering, requests side by side each counted."
        Gauge INSIDE_MODULE_MILLISECONDS "strongroom_custody_inside_module_milliseconds" "How long the present call is inside the token's module."
    }
}
