//! The human code: 6 groups of 5 digits from the epoch authenticator (RFC 9420 section 8.7). People who read the same
//! code to each other are in the same group with the same members; a fork or a ghost shows another.

use sha2::{Digest, Sha512};

/// Groups of digits.
pub const GROUPS: usize = 6;

/// The code of an epoch, groups separated by spaces.
pub fn human_code(group_id: &[u8], epoch_authenticator: &[u8]) -> String {
    let mut hash = Sha512::new();
    hash.update(b"strongroom code v1");
    hash.update((group_id.len() as u32).to_be_bytes());
    hash.update(group_id);
    hash.update(epoch_authenticator);
    let hash = hash.finalize();
    let group = |bytes: &[u8]| {
        // 64 bits modulo 10^5: a bias below 2^-47
        let number = bytes.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        format!("{:05}", number % 100_000)
    };
    let groups: Vec<String> = hash.chunks_exact(8).take(GROUPS).map(group).collect();
    groups.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_has_six_groups_of_five_digits_and_depends_on_group_and_epoch() {
        let code = human_code(b"group", &[1; 32]);
        assert_eq!(code.split(' ').map(str::len).collect::<Vec<_>>(), [5; GROUPS]);
        assert_ne!(code, human_code(b"group", &[2; 32]));
        assert_ne!(code, human_code(b"other", &[1; 32]));
    }
}
