//! Every parser that an outsider reaches, driven with damaged input: nothing panics, what reads back reads back equal,
//! nothing grows without bound.
//!
//! Random damage to valid seeds, not guided by coverage. Bounded and repeatable: `STRONGROOM_FUZZ_SEED=<seed>` runs
//! another seed, `STRONGROOM_FULL=1` a fresh one and twenty times as long, `STRONGROOM_FUZZ_SECONDS=<n>` a fresh one and
//! each target for so long, and says how many inputs that were. The same targets serve `cargo fuzz`, which is guided, in
//! `tests/fuzz/cargo`.
#![expect(clippy::print_stdout, reason = "a failing run names its seed")]

mod mutate;
mod seeds;
mod targets;

use mutate::Mutator;
use std::path::Path;
use std::time::{Duration, Instant};
use strongroom_tests::dice::{fresh_seed, full, seed_from};

/// What CI runs when nobody asks for another.
const SEED: u64 = 20_260_101;

/// Inputs between two looks at the clock: a second of the slowest target, or one that takes no time.
const STRETCH: u64 = 200;

/// How long a target is driven.
#[derive(Debug, Clone, Copy)]
enum Bound {
    /// So many inputs.
    Inputs(u64),
    /// So much time.
    Time(Duration),
}

impl Bound {
    fn wanted(inputs: u64) -> Self {
        match seed_from("STRONGROOM_FUZZ_SECONDS") {
            Some(seconds) => Self::Time(Duration::from_secs(seconds)),
            None if full() => Self::Inputs(inputs * 20),
            None => Self::Inputs(inputs),
        }
    }

    fn reached(self, inputs: u64, began: Instant) -> bool {
        match self {
            Self::Inputs(most) => inputs >= most,
            Self::Time(most) => inputs.is_multiple_of(STRETCH) && began.elapsed() >= most,
        }
    }
}

fn drive(name: &str, target: fn(&[u8]), seeds: &[Vec<u8>], inputs: u64) {
    let bound = Bound::wanted(inputs);
    let fresh = full() || matches!(bound, Bound::Time(_));
    let seed = seed_from("STRONGROOM_FUZZ_SEED").unwrap_or_else(|| if fresh { fresh_seed() } else { SEED });
    println!("{name}: STRONGROOM_FUZZ_SEED={seed}, {bound:?}, {} seeds", seeds.len());
    let mut mutator = Mutator::new(seed, seeds);
    seeds.iter().for_each(|seed| target(seed));
    let (began, mut round) = (Instant::now(), 0);
    while !bound.reached(round, began) {
        let input = mutator.next_input();
        let fine = std::panic::catch_unwind(|| target(&input));
        if let Err(panic) = fine {
            println!("{name}: input {round}: {}", hex::encode(&input[..input.len().min(4096)]));
            std::panic::resume_unwind(panic);
        }
        round += 1;
    }
    println!("{name}: {round} inputs in {:.1} s", began.elapsed().as_secs_f64());
}

macro_rules! fuzz {
    ($($test:ident: $module:ident::$target:ident, $iterations:expr;)*) => {
        $(#[test]
        fn $test() {
            drive(stringify!($target), targets::$module::$target, &seeds::$module::$target(), $iterations);
        })*

        /// All of them.
        const TARGETS: &[(&str, &str)] = &[$((stringify!($module), stringify!($target))),*];
    };
}

fuzz! {
    stun_messages_are_survived: media::stun, 480_000;
    t1_sframe_headers_are_survived_and_have_one_form: media::sframe_header, 1_600_000;
    rtp_headers_and_extensions_are_survived: media::rtp, 800_000;
    rtcp_compounds_are_survived: media::rtcp, 480_000;
    session_descriptions_are_survived: media::sdp, 64_000;
    the_engine_survives_what_a_publisher_sends: media::engine, 240_000;
    transport_feedback_is_survived: hop::feedback, 960_000;
    dependency_descriptors_are_survived: hop::dependency, 1_600_000;
    payload_descriptors_are_survived: hop::descriptors, 1_600_000;
    dtls_records_are_survived_and_answered_to_proven_sources_alone: hop::dtls, 120_000;
    retransmissions_are_survived: hop::repairs, 60_000;
    sequences_of_datagrams_are_survived_by_a_whole_server: hop::server, 40_000;
    recorders_survive_what_the_record_link_carries: media::recorder, 480_000;
    t2_damaged_frames_never_open: media::sealed_frame, 160_000;
    cose_objects_are_survived: evidence::cose, 240_000;
    certificates_are_survived: evidence::certificate, 160_000;
    signed_documents_are_survived: evidence::documents, 120_000;
    tokens_of_an_identity_provider_are_survived: evidence::id_token, 8_000;
    segments_are_survived_and_cut_where_they_are_good: archive::segment, 48_000;
    manifests_proofs_and_notes_are_survived: archive::manifests, 120_000;
    client_json_is_survived_and_reads_back: wire::client_json, 320_000;
    control_json_is_survived_and_reads_back: wire::control_json, 320_000;
    record_link_frames_are_survived_and_read_back: wire::record_link, 320_000;
    custody_frames_are_survived: wire::custody, 240_000;
    export_frames_are_survived: wire::export, 240_000;
    group_messages_are_survived_by_a_session: group::session, 9_600;
    group_messages_are_survived_by_signaling: group::signaling, 12_000;
}

#[test]
fn every_target_has_its_twin_for_cargo_fuzz() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/cargo");
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).expect("its manifest");
    for (module, target) in TARGETS {
        let name = format!("{module}_{target}");
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n")), "{name}");
        let twin = std::fs::read_to_string(folder.join(format!("fuzz_targets/{name}.rs"))).expect("a file of its own");
        assert!(twin.contains(&format!("targets::{module}::{target}(data)")), "{name}");
    }
    let twins = std::fs::read_dir(folder.join("fuzz_targets")).expect("a folder").count();
    assert_eq!(twins, TARGETS.len(), "and no other has one");
}
