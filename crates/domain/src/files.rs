//! Arithmetic of sealed files: how many chunks, how long each. The same at the sender, at signaling and in an archive.

use crate::limits::{FILE_CHUNK, FILE_TAG, MAX_FILE};

/// Chunks of a file of `size` bytes; `None`: no file has that size.
pub fn chunks(size: u64) -> Option<u32> {
    (1..=MAX_FILE).contains(&size).then(|| size.div_ceil(FILE_CHUNK as u64) as u32)
}

/// Bytes of chunk `index` of a file of `size` bytes once it is sealed; `None`: there is no such chunk.
pub fn sealed_len(size: u64, index: u32) -> Option<usize> {
    let from = u64::from(index) * FILE_CHUNK as u64;
    (chunks(size).is_some() && from < size).then(|| (size - from).min(FILE_CHUNK as u64) as usize + FILE_TAG)
}

/// Bytes of the whole file once it is sealed.
pub fn sealed_size(size: u64) -> u64 {
    size + u64::from(chunks(size).unwrap_or(0)) * FILE_TAG as u64
}

/// Longest name shown, bytes of UTF-8: what every file system takes.
pub const MAX_NAME: usize = 200;
/// Longest type shown.
pub const MAX_TYPE: usize = 100;

/// Would it change how the text around it reads, or stay unseen? Controls, bidirectional marks and overrides, joiners,
/// tags and the byte order mark.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Names that Windows takes for devices, whatever follows the first dot.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let numbered =
        |of: &str| stem.strip_prefix(of).is_some_and(|n| n.len() == 1 && n.bytes().all(|b| b.is_ascii_digit()));
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL") || numbered("COM") || numbered("LPT")
}

/// A file name to show and to save by: no path, nothing hidden, nothing that a shell, a header or a file system reads as
/// more than a name. What is left of the last part of the path.
pub fn plain_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).find(|part| !part.trim().is_empty()).unwrap_or_default();
    let shown = last.chars().filter(|c| !is_hidden(*c));
    let mut plain: String = shown.map(|c| if "<>:\"|?*%;".contains(c) { '_' } else { c }).collect();
    plain = plain.trim_matches(|c: char| c == '.' || c.is_whitespace()).to_owned();
    while plain.len() > MAX_NAME {
        // the end tells what it is: the middle goes
        let middle = plain.char_indices().map(|(at, _)| at).find(|at| *at >= plain.len() / 2).unwrap_or(0);
        plain.remove(middle);
    }
    match plain.as_str() {
        "" => "file".to_owned(),
        name if is_device(name) => format!("_{name}"),
        _ => plain,
    }
}

/// A media type to show, never to act on: `type/subtype`, or that nothing is known.
pub fn plain_type(media_type: &str) -> String {
    let token =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b));
    let known = media_type.len() <= MAX_TYPE && media_type.split_once('/').is_some_and(|(a, b)| token(a) && token(b));
    if known { media_type.to_ascii_lowercase() } else { "application/octet-stream".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_a_file_and_only_the_last_is_short() {
        const CHUNK: u64 = FILE_CHUNK as u64;
        for (size, count) in [(1, 1), (CHUNK - 1, 1), (CHUNK, 1), (CHUNK + 1, 2), (MAX_FILE, 400)] {
            assert_eq!(chunks(size), Some(count), "{size}");
            let lengths: Vec<usize> = (0..).map_while(|index| sealed_len(size, index)).collect();
            assert_eq!(lengths.len() as u32, count);
            assert!(lengths.iter().rev().skip(1).all(|len| *len == FILE_CHUNK + FILE_TAG));
            assert_eq!(lengths.iter().sum::<usize>() as u64, sealed_size(size));
        }
        assert_eq!((chunks(0), chunks(MAX_FILE + 1), sealed_len(0, 0)), (None, None, None));
    }

    #[test]
    fn a_name_is_a_name_and_no_path_mark_or_device() {
        for (given, plain) in [
            ("term sheet v2.pdf", "term sheet v2.pdf"),
            ("../../etc/passwd", "passwd"),
            ("C:\\Users\\anna\\deal.xlsx", "deal.xlsx"),
            ("..", "file"),
            ("", "file"),
            (".bashrc", "bashrc"),
            ("invoice\u{202e}fdp.exe", "invoicefdp.exe"),
            ("a\u{2066}b\u{200f}c\u{feff}.txt", "abc.txt"),
            ("two\r\nlines: x.txt", "twolines_ x.txt"),
            ("quote\".html", "quote_.html"),
            ("con.txt", "_con.txt"),
            ("LPT1", "_LPT1"),
            ("console.txt", "console.txt"),
            ("Überblick – 2026.pdf", "Überblick – 2026.pdf"),
            ("deal.pdf. . ", "deal.pdf"),
        ] {
            assert_eq!(plain_name(given), plain, "{given:?}");
        }
        let long = plain_name(&format!("{}.pdf", "é".repeat(300)));
        assert!(long.len() <= MAX_NAME && long.ends_with(".pdf"), "{long}");
    }

    #[test]
    fn a_type_is_a_type_or_nothing_is_known() {
        assert_eq!(plain_type("Application/PDF"), "application/pdf");
        for bad in ["", "pdf", "text/html; charset=x", "a/b/c", "text/\r\n", "/x"] {
            assert_eq!(plain_type(bad), "application/octet-stream", "{bad:?}");
        }
    }
}
