//! Damage, chosen by a seed: flips, interesting numbers, cuts, repeats, and pieces of other seeds.

use strongroom_tests::dice::Dice;

/// Longest input made; parsers that take more are cut off by length before they parse.
const MAX: usize = 16 * 1024;
/// Numbers at the edges of fields.
const EDGES: [u8; 10] = [0, 1, 0x0f, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xfe, 0xff];

/// Makes inputs of seeds.
pub struct Mutator<'a> {
    dice: Dice,
    seeds: &'a [Vec<u8>],
}

impl<'a> Mutator<'a> {
    pub fn new(seed: u64, seeds: &'a [Vec<u8>]) -> Self {
        Self { dice: Dice::new(seed), seeds }
    }

    pub fn next_input(&mut self) -> Vec<u8> {
        let mut input = self.dice.pick(self.seeds).cloned().unwrap_or_default();
        for _ in 0..self.dice.within(1, 6) {
            self.damage(&mut input);
        }
        input.truncate(MAX);
        input
    }

    fn place(&mut self, input: &[u8]) -> usize {
        // structure is at the front: half the damage goes there
        let len = if self.dice.chance(50) { input.len().min(32) } else { input.len() };
        self.dice.below(len as u64) as usize
    }

    fn damage(&mut self, input: &mut Vec<u8>) {
        let at = self.place(input);
        let len = self.dice.within(1, 16) as usize;
        let end = (at + len).min(input.len());
        match self.dice.below(9) {
            0 | 1 if at < input.len() => input[at] ^= 1 << self.dice.below(8),
            2 if at < input.len() => input[at] = *self.dice.pick(&EDGES).expect("not empty"),
            3 if at < input.len() => input[at] = self.dice.next() as u8,
            4 => input.truncate(at),
            5 => drop(input.drain(at..end)),
            6 => {
                let piece = input[at..end].to_vec();
                input.splice(at..at, piece);
            }
            7 => {
                let other = self.dice.pick(self.seeds).cloned().unwrap_or_default();
                let from = self.dice.below(other.len() as u64) as usize;
                let to = (from + 4 * len).min(other.len());
                input.splice(at..end, other[from..to].iter().copied());
            }
            _ => {
                let number = match self.dice.below(3) {
                    0 => u32::MAX,
                    1 => 1 << self.dice.below(32),
                    _ => self.dice.next() as u32,
                };
                let bytes = number.to_be_bytes();
                let taken = &bytes[..self.dice.within(1, 4) as usize];
                input.splice(at..(at + taken.len()).min(input.len()), taken.iter().copied());
            }
        }
    }
}
