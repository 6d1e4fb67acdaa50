//! Where the tiles stand. Pure.

/// Size of the composed picture.
pub const WIDTH: u32 = 1280;
/// Size of the composed picture.
pub const HEIGHT: u32 = 720;

/// One tile, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tile {
    /// From the left.
    pub x: u32,
    /// From the top.
    pub y: u32,
    /// Across.
    pub width: u32,
    /// Down.
    pub height: u32,
}

/// A grid for `count` tiles: as square as it gets, rows filled from the top. Sides are even: 4:2:0 pictures want that.
pub fn tiles(count: usize) -> Vec<Tile> {
    let count = u32::try_from(count.max(1)).unwrap_or(u32::MAX);
    let columns = (1..).find(|n| n * n >= count).expect("some square is large enough");
    let rows = count.div_ceil(columns);
    let (width, height) = (WIDTH / columns / 2 * 2, HEIGHT / rows / 2 * 2);
    (0..count).map(|n| Tile { x: n % columns * width, y: n / columns * height, width, height }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_never_overlap_or_leave_the_picture() {
        for count in 1..=25 {
            let tiles = tiles(count);
            assert_eq!(tiles.len(), count);
            for (n, a) in tiles.iter().enumerate() {
                assert!(a.x + a.width <= WIDTH && a.y + a.height <= HEIGHT && a.width % 2 == 0 && a.height % 2 == 0);
                assert!(tiles[n + 1..].iter().all(|b| a.x != b.x || a.y != b.y));
                assert!(
                    tiles[n + 1..]
                        .iter()
                        .all(|b| b.x >= a.x + a.width || b.y >= a.y + a.height || a.x >= b.x + b.width)
                );
            }
        }
    }
}
