//! Merkle trees after RFC 6962 section 2.1 (also RFC 9162): leaf = H(0x00 || data), node = H(0x01 || left || right).

use super::digest::Digest;
use sha2::{Digest as _, Sha256};

/// Hash of a leaf's data.
pub fn leaf_hash(data: &[u8]) -> Digest {
    leaf_hash_of(&[data])
}

/// The same of data in parts.
pub(super) fn leaf_hash_of(parts: &[&[u8]]) -> Digest {
    let mut hash = Sha256::new().chain_update([0]);
    parts.iter().for_each(|part| hash.update(part));
    Digest(hash.finalize().into())
}

/// Hash of an inner node.
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    Digest(Sha256::new().chain_update([1]).chain_update(left.0).chain_update(right.0).finalize().into())
}

/// Root of the empty tree.
pub fn empty_root() -> Digest {
    super::digest::sha256(&[])
}

/// Largest power of two below `n` (n > 1).
fn split(n: usize) -> usize {
    1 << (usize::BITS - 1 - (n - 1).leading_zeros())
}

/// Root over leaf hashes.
pub fn root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => empty_root(),
        [one] => *one,
        many => {
            let (left, right) = many.split_at(split(many.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// Grows by one leaf at a time and keeps only the right edge: for segments of any length.
#[derive(Debug, Clone, Default)]
pub struct Frontier {
    /// Full subtrees from large to small, one per set bit of `len`.
    edge: Vec<Digest>,
    len: u64,
}

impl Frontier {
    /// As it was after `len` leaves; `None` if so many leaves leave another number of subtrees.
    pub fn from_edge(edge: Vec<Digest>, len: u64) -> Option<Self> {
        (edge.len() == len.count_ones() as usize).then_some(Self { edge, len })
    }
    /// Roots of the whole subtrees, largest first.
    pub fn edge(&self) -> &[Digest] {
        &self.edge
    }
    /// Adds a leaf hash.
    pub fn push(&mut self, leaf: Digest) {
        let mut node = leaf;
        let mut n = self.len;
        while n & 1 == 1 {
            let left = self.edge.pop().expect("one subtree per set bit of the length");
            node = node_hash(&left, &node);
            n >>= 1;
        }
        self.edge.push(node);
        self.len += 1;
    }
    /// Leaves so far.
    pub fn len(&self) -> u64 {
        self.len
    }
    /// No leaf yet?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Root so far.
    pub fn root(&self) -> Digest {
        let mut nodes = self.edge.iter().rev();
        let Some(first) = nodes.next() else { return empty_root() };
        nodes.fold(*first, |right, left| node_hash(left, &right))
    }
}

/// Audit path of leaf `index` (RFC 6962 section 2.1.1); `None` if there is no such leaf.
pub fn inclusion(leaves: &[Digest], index: usize) -> Option<Vec<Digest>> {
    if index >= leaves.len() {
        return None;
    }
    if leaves.len() == 1 {
        return Some(Vec::new());
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut path, sibling) = if index < left.len() {
        (inclusion(left, index)?, root(right))
    } else {
        (inclusion(right, index - left.len())?, root(left))
    };
    path.push(sibling);
    Some(path)
}

/// Is `leaf` the leaf `index` of the tree of `size` leaves with `root`? (RFC 9162 section 2.1.3.2)
pub fn verify_inclusion(leaf: &Digest, index: u64, size: u64, path: &[Digest], expected: &Digest) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut at, mut last) = (*leaf, index, size - 1);
    for sibling in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            node = node_hash(sibling, &node);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            node = node_hash(&node, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && node == *expected
}

/// Consistency proof from the first `old` leaves to all (RFC 6962 section 2.1.2); empty for `old` = 0 or all.
pub fn consistency(leaves: &[Digest], old: usize) -> Option<Vec<Digest>> {
    fn sub(leaves: &[Digest], old: usize, whole: bool, out: &mut Vec<Digest>) {
        if old == leaves.len() {
            if !whole {
                out.push(root(leaves));
            }
            return;
        }
        let (left, right) = leaves.split_at(split(leaves.len()));
        if old <= left.len() {
            sub(left, old, whole, out);
            out.push(root(right));
        } else {
            sub(right, old - left.len(), false, out);
            out.push(root(left));
        }
    }
    if old > leaves.len() {
        return None;
    }
    let mut out = Vec::new();
    if old > 0 && old < leaves.len() {
        sub(leaves, old, true, &mut out);
    }
    Some(out)
}

/// Does the tree (`new_size`, `new_root`) begin with the tree (`old_size`, `old_root`)? (RFC 9162 section 2.1.4.2)
pub fn verify_consistency(
    old_size: u64,
    old_root: &Digest,
    new_size: u64,
    new_root: &Digest,
    proof: &[Digest],
) -> bool {
    if old_size == new_size {
        return proof.is_empty() && old_root == new_root;
    }
    if old_size == 0 || old_size > new_size {
        return old_size == 0 && proof.is_empty();
    }
    let mut path: Vec<Digest> = proof.to_vec();
    if old_size.is_power_of_two() {
        path.insert(0, *old_root);
    }
    let Some((first, rest)) = path.split_first() else { return false };
    let (mut at, mut last) = (old_size - 1, new_size - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut old, mut new) = (*first, *first);
    for node in rest {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old = node_hash(node, &old);
            new = node_hash(node, &new);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            new = node_hash(&new, node);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && old == *old_root && new == *new_root
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(n: usize) -> Vec<Digest> {
        (0..n).map(|i| leaf_hash(&(i as u32).to_be_bytes())).collect()
    }

    #[test]
    fn known_roots_of_rfc_6962_come_out() {
        assert_eq!(empty_root().hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(leaf_hash(&[]).hex(), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    }

    #[test]
    fn the_frontier_agrees_with_the_whole_tree_at_every_size() {
        let mut frontier = Frontier::default();
        for n in 0..70 {
            assert_eq!(frontier.root(), root(&leaves(n)), "{n}");
            frontier.push(leaf_hash(&(n as u32).to_be_bytes()));
        }
    }

    #[test]
    fn every_leaf_proves_its_place_and_no_other() {
        for n in 1..40 {
            let all = leaves(n);
            let top = root(&all);
            for (i, leaf) in all.iter().enumerate() {
                let path = inclusion(&all, i).expect("in range");
                assert!(verify_inclusion(leaf, i as u64, n as u64, &path, &top));
                assert!(!verify_inclusion(leaf, i as u64, n as u64, &path, &empty_root()));
                if n > 1 {
                    assert!(!verify_inclusion(leaf, ((i + 1) % n) as u64, n as u64, &path, &top));
                }
            }
        }
    }

    #[test]
    fn a_log_that_rewrote_its_past_has_no_consistency_proof() {
        for n in 1..30usize {
            let all = leaves(n);
            for old in 1..=n {
                let proof = consistency(&all, old).expect("in range");
                let (old_root, new_root) = (root(&all[..old]), root(&all));
                assert!(verify_consistency(old as u64, &old_root, n as u64, &new_root, &proof), "{old} of {n}");
                assert!(!verify_consistency(old as u64, &leaf_hash(b"x"), n as u64, &new_root, &proof));
            }
        }
    }
}
