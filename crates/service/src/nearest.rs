//! Which known word somebody meant. Knows nothing of files or keys.

/// Words longer than this are compared no further: no key of ours is.
const MAX_WORD: usize = 64;

/// The word of `known` that is nearest to `wrong`, if it is near at all: at most a third of its letters differ.
pub fn nearest<'a>(wrong: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known.iter().map(|word| (distance(wrong, word), *word)).min()?;
    (near.0 <= near.1.len().div_ceil(3)).then_some(near.1)
}

/// Letters to insert, remove, replace or swap with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(MAX_WORD).collect(), b.chars().take(MAX_WORD).collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        rows[i][0] = i;
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swapped_missing_and_wrong_letters_are_near_and_other_words_are_not() {
        assert_eq!(distance("udp_prot", "udp_port"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(nearest("advertize", &["listen", "advertise", "server_name"]), Some("advertise"));
        assert_eq!(nearest("colour", &["listen", "advertise"]), None);
        assert_eq!(nearest("x", &[]), None);
    }
}
