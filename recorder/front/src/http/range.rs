//! Byte ranges (RFC 9110 section 14): one range per request, as media elements ask.

/// What a `Range` header asks for, judged against a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// No range, or one in a form we may ignore: the whole.
    Whole,
    /// These bytes: first, and one past the last.
    Part(usize, usize),
    /// Nothing of it exists (416).
    Nothing,
}

/// Judges a `Range` header against `length` bytes.
pub fn wanted(header: Option<&str>, length: usize) -> Wanted {
    let Some(range) = header.and_then(|text| text.strip_prefix("bytes=")) else { return Wanted::Whole };
    // several ranges would need multipart answers; RFC 9110 lets a server answer the whole
    let Some((first, last)) = range.split_once('-').filter(|_| !range.contains(',')) else { return Wanted::Whole };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match (digits(first), digits(last)) {
        (true, _) if last.is_empty() || digits(last) => {
            let Ok(first) = first.parse::<usize>() else { return Wanted::Nothing };
            let last = if last.is_empty() { usize::MAX } else { last.parse().unwrap_or(usize::MAX) };
            if first > last {
                Wanted::Whole
            } else if first >= length {
                Wanted::Nothing
            } else {
                Wanted::Part(first, last.saturating_add(1).min(length))
            }
        }
        (false, true) if first.is_empty() => match last.parse::<usize>().unwrap_or(usize::MAX) {
            0 => Wanted::Nothing,
            _ if length == 0 => Wanted::Nothing,
            suffix => Wanted::Part(length.saturating_sub(suffix), length),
        },
        _ => Wanted::Whole,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_judged_as_the_rfc_says() {
        let cases = [
            (None, Wanted::Whole),
            (Some("bytes=0-"), Wanted::Part(0, 100)),
            (Some("bytes=0-0"), Wanted::Part(0, 1)),
            (Some("bytes=10-19"), Wanted::Part(10, 20)),
            (Some("bytes=90-1000"), Wanted::Part(90, 100)),
            (Some("bytes=-10"), Wanted::Part(90, 100)),
            (Some("bytes=-1000"), Wanted::Part(0, 100)),
            (Some("bytes=100-"), Wanted::Nothing),
            (Some("bytes=-0"), Wanted::Nothing),
            (Some("bytes=20-10"), Wanted::Whole),
            (Some("bytes=0-1,5-6"), Wanted::Whole),
            (Some("bytes=abc"), Wanted::Whole),
            (Some("bytes=99999999999999999999-"), Wanted::Nothing),
        ];
        for (header, judged) in cases {
            assert_eq!(wanted(header, 100), judged, "{header:?}");
        }
    }
}
