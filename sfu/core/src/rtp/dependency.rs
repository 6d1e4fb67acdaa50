//! The dependency descriptor (AV1 RTP specification, appendix A) as far as layers need it: frame boundaries, the spatial
//! and temporal layer of a frame, and where a layer may begin. The template structure comes with key frames only and is
//! kept for the frames after it.

/// URI of the extension.
pub const URI: &str = "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";
/// Templates of one structure (6-bit ids).
const MAX_TEMPLATES: usize = 64;
/// Decode targets of one structure (5 bits).
const MAX_TARGETS: usize = 32;
/// "Switch": a decode target may begin at this frame.
const SWITCH: u8 = 2;
/// "Not present" in a decode target.
const ABSENT: u8 = 0;

/// One template: a kind of frame.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Template {
    spatial: u8,
    temporal: u8,
    indications: Vec<u8>,
}

/// What the frames of a stream look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Structure {
    offset: u8,
    templates: Vec<Template>,
}

/// What the descriptor of one packet says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// First packet of the frame.
    pub start: bool,
    /// Last packet of the frame.
    pub end: bool,
    /// Number of the frame, 16 bits.
    pub number: u16,
    /// Spatial layer.
    pub spatial: u8,
    /// Temporal layer.
    pub temporal: u8,
    /// The frame's temporal layer may begin here.
    pub sync: bool,
    /// A structure that replaces the one known; only key frames carry one.
    pub structure: Option<Structure>,
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = *self.bytes.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }
    fn flag(&mut self) -> Option<bool> {
        Some(self.take(1)? == 1)
    }
    fn small(&mut self, count: usize) -> Option<u8> {
        Some(self.take(count)? as u8)
    }
}

/// Reads a descriptor with the structure known so far; `None` if it is malformed or needs a structure that never came.
pub fn descriptor(bytes: &[u8], known: Option<&Structure>) -> Option<Descriptor> {
    let mut bits = Bits { bytes, at: 0 };
    let (start, end, id) = (bits.flag()?, bits.flag()?, bits.small(6)?);
    let number = bits.take(16)? as u16;
    let mut custom = false;
    let mut fresh = None;
    if bytes.len() > 3 {
        let present = bits.flag()?;
        let targets_follow = bits.flag()?;
        custom = bits.flag()?;
        let _ = (bits.flag()?, bits.flag()?);
        if present {
            fresh = Some(structure(&mut bits)?);
        }
        if targets_follow {
            let count = fresh.as_ref().or(known)?.targets();
            bits.take(count)?;
        }
    }
    let structure = fresh.as_ref().or(known)?;
    let at = usize::from(id.wrapping_sub(structure.offset) & 0x3f);
    let template = structure.templates.get(at)?;
    let (spatial, temporal) = (template.spatial, template.temporal);
    let target = structure.target_of(spatial, temporal);
    let mut sync = target.is_some_and(|target| template.indications[target] == SWITCH);
    if custom {
        for at in 0..template.indications.len() {
            let own = bits.small(2)?;
            if target == Some(at) {
                sync = own == SWITCH;
            }
        }
    }
    Some(Descriptor { start, end, number, spatial, temporal, sync, structure: fresh })
}

fn structure(bits: &mut Bits<'_>) -> Option<Structure> {
    let offset = bits.small(6)?;
    let targets = bits.take(5)? as usize + 1;
    let mut templates = Vec::new();
    let (mut spatial, mut temporal) = (0u8, 0u8);
    loop {
        if templates.len() >= MAX_TEMPLATES || targets > MAX_TARGETS {
            return None;
        }
        templates.push(Template { spatial, temporal, indications: Vec::new() });
        match bits.take(2)? {
            0 => {}
            1 => temporal += 1,
            2 => (spatial, temporal) = (spatial + 1, 0),
            _ => break,
        }
    }
    for template in &mut templates {
        template.indications = (0..targets).map(|_| bits.small(2)).collect::<Option<_>>()?;
    }
    for _ in &templates {
        while bits.flag()? {
            bits.take(4)?;
        }
    }
    let chains = non_symmetric(bits, targets + 1)?;
    if chains > 0 {
        for _ in 0..targets {
            non_symmetric(bits, chains)?;
        }
        bits.take(4 * chains * templates.len())?;
    }
    if bits.flag()? {
        let spatial_layers = usize::from(templates.iter().map(|t| t.spatial).max().unwrap_or(0)) + 1;
        bits.take(32 * spatial_layers)?;
    }
    Some(Structure { offset, templates })
}

/// `ns(n)` of the AV1 specification: a number below `n` in as few bits as it takes.
fn non_symmetric(bits: &mut Bits<'_>, n: usize) -> Option<usize> {
    let width = (usize::BITS - n.leading_zeros()) as usize;
    let threshold = (1 << width) - n;
    let value = bits.take(width - 1)? as usize;
    if value < threshold {
        return Some(value);
    }
    Some((value << 1 | bits.take(1)? as usize) - threshold)
}

impl Structure {
    fn targets(&self) -> usize {
        self.templates.first().map_or(0, |template| template.indications.len())
    }

    /// The decode target whose highest frames are of this spatial and temporal layer.
    fn target_of(&self, spatial: u8, temporal: u8) -> Option<usize> {
        let highest = |target: usize| {
            let present = self.templates.iter().filter(|t| t.indications[target] != ABSENT);
            present.map(|t| (t.spatial, t.temporal)).max()
        };
        (0..self.targets()).find(|target| highest(*target) == Some((spatial, temporal)))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Writes bits, for the tests.
    fn pack(fields: &[(u32, usize)]) -> Vec<u8> {
        let bits: Vec<u32> =
            fields.iter().flat_map(|(value, count)| (0..*count).rev().map(move |n| value >> n & 1)).collect();
        bits.chunks(8).map(|c| c.iter().enumerate().fold(0, |byte, (n, bit)| byte | (*bit as u8) << (7 - n))).collect()
    }

    /// One spatial, three temporal layers, three decode targets, no chains: templates T0 (key), T0, T1, T2.
    pub(crate) fn l1t3(id: u32) -> Vec<u8> {
        let mut fields = vec![(1, 1), (0, 1), (id, 6), (7, 16), (1, 1), (0, 4), (0, 6), (2, 5)];
        fields.extend([(0, 2), (1, 2), (1, 2), (3, 2)]);
        fields.extend([(2, 2), (2, 2), (2, 2)]);
        fields.extend([(3, 2), (2, 2), (2, 2)]);
        fields.extend([(0, 2), (2, 2), (2, 2)]);
        fields.extend([(0, 2), (0, 2), (1, 2)]);
        fields.extend([(0, 1), (1, 1), (3, 4), (0, 1), (1, 1), (1, 4), (0, 1), (1, 1), (0, 4), (0, 1)]);
        fields.extend([(0, 2), (0, 1)]);
        pack(&fields)
    }

    /// Two spatial layers that lean on one another at key frames alone, two decode targets, no chains: templates S0 (key),
    /// S0, S1 (key), S1.
    pub(crate) fn l2t1(id: u32) -> Vec<u8> {
        let mut fields = vec![(1, 1), (0, 1), (id, 6), (7, 16), (1, 1), (0, 4), (0, 6), (1, 5)];
        fields.extend([(0, 2), (2, 2), (0, 2), (3, 2)]);
        fields.extend([(2, 2), (2, 2), (2, 2), (0, 2), (0, 2), (2, 2), (0, 2), (2, 2)]);
        fields.extend([(0, 1), (1, 1), (1, 4), (0, 1), (1, 1), (0, 4), (0, 1), (1, 1), (1, 4), (0, 1)]);
        fields.extend([(0, 1), (0, 1)]);
        pack(&fields)
    }

    #[test]
    fn spatial_layers_are_told_by_template() {
        let structure = descriptor(&l2t1(0), None).and_then(|read| read.structure).expect("well formed");
        let read = |id: u8| descriptor(&[0xc0 | id, 0, 8], Some(&structure)).map(|d| (d.spatial, d.temporal, d.sync));
        let expected = [(0, 0, true), (0, 0, true), (1, 0, true), (1, 0, true)].map(Some);
        assert_eq!([0, 1, 2, 3].map(read), expected);
        // indications of its own: S0 does not let its target begin here
        let custom = pack(&[(3, 2), (1, 6), (8, 16), (0, 2), (1, 1), (0, 2), (3, 2), (0, 2)]);
        assert_eq!(descriptor(&custom, Some(&structure)).map(|d| (d.spatial, d.sync)), Some((0, false)));
    }

    #[test]
    fn the_structure_of_a_key_frame_explains_the_short_descriptors_after_it() {
        let key = descriptor(&l1t3(0), None).expect("well formed");
        assert_eq!((key.start, key.end, key.number, key.spatial, key.temporal, key.sync), (true, false, 7, 0, 0, true));
        let structure = key.structure.expect("it came");
        let read = |id: u8| descriptor(&[0x80 | id, 0, 8], Some(&structure)).map(|d| (d.temporal, d.sync));
        assert_eq!([0, 1, 2, 3].map(read), [Some((0, true)), Some((0, false)), Some((1, true)), Some((2, false))]);
        assert_eq!(read(4), None, "no such template");
        assert_eq!(descriptor(&[0x81, 0, 8], None), None, "without its structure");
    }

    #[test]
    fn a_structure_has_sixty_four_templates_at_most() {
        let with = |templates: usize| {
            let mut fields = vec![(1, 1), (0, 1), (0, 6), (7, 16), (1, 1), (0, 4), (0, 6), (0, 5)];
            // all of one layer, one decode target, no dependencies, no chains
            fields.extend((1..templates).map(|_| (0, 2)));
            fields.extend([(3, 2)]);
            fields.extend((0..templates).map(|_| (2, 2)));
            fields.extend((0..templates).map(|_| (0, 1)));
            fields.extend([(0, 1), (0, 1), (0, 8)]);
            descriptor(&pack(&fields), None).and_then(|read| read.structure).map(|read| read.templates.len())
        };
        assert_eq!([1, 64, 65, 500].map(with), [Some(1), Some(64), None, None]);
    }

    #[test]
    fn every_truncation_and_every_changed_byte_is_survived() {
        let whole = l1t3(0);
        for len in 0..whole.len() - 1 {
            let _ = descriptor(&whole[..len], None);
        }
        let mut seed = 1u32;
        for _ in 0..50_000 {
            let mut bytes = whole.clone();
            for _ in 0..3 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = seed as usize / 7 % bytes.len();
                bytes[at] = (seed >> 24) as u8;
            }
            let _ = descriptor(&bytes, None);
        }
    }
}
