//! Word lists against lines of chat: case and diacritics are folded away, words are compared as wholes, a `*` at a word's
//! end stands for any ending. No pattern language: the work is words times words, whatever is written. Pure.

use evidence::supervision::WordList;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

/// Words of a line that are looked at: a line of chat has fewer.
const MAX_LINE_WORDS: usize = 2_048;

/// Word lists made ready.
pub struct Lexicon {
    lists: Vec<(String, Vec<Phrase>)>,
}

/// Words in a row.
struct Phrase(Vec<Wanted>);

/// One of them.
struct Wanted {
    letters: String,
    any_ending: bool,
}

impl Wanted {
    fn fits(&self, word: &str) -> bool {
        if self.any_ending { word.starts_with(&self.letters) } else { word == self.letters }
    }
}

impl Lexicon {
    /// From an act's lists. A word without a letter or digit is never found and is left out.
    pub fn new(lists: &[WordList]) -> Self {
        let phrases = |list: &WordList| list.words.iter().filter_map(|words| phrase(words)).collect();
        Self { lists: lists.iter().map(|list| (list.name.clone(), phrases(list))).collect() }
    }

    /// Names of the lists of which something stands in the line.
    pub fn found_in<'a>(&'a self, line: &str) -> impl Iterator<Item = &'a str> {
        let words = words(line);
        self.lists
            .iter()
            .filter(move |(_, phrases)| phrases.iter().any(|phrase| stands(&phrase.0, &words)))
            .map(|(name, _)| name.as_str())
    }
}

fn stands(phrase: &[Wanted], words: &[String]) -> bool {
    words.windows(phrase.len()).any(|some| phrase.iter().zip(some).all(|(wanted, word)| wanted.fits(word)))
}

fn phrase(text: &str) -> Option<Phrase> {
    let one = |part: &str| {
        let parts = words(part);
        let last = parts.len().checked_sub(1)?;
        let any = part.ends_with('*');
        let wanted = |(at, letters)| Wanted { letters, any_ending: any && at == last };
        Some(parts.into_iter().enumerate().map(wanted).collect::<Vec<_>>())
    };
    let all: Vec<Wanted> = text.split_whitespace().filter_map(one).flatten().collect();
    (!all.is_empty()).then_some(Phrase(all))
}

/// The words of a text, folded.
fn words(text: &str) -> Vec<String> {
    let folded = fold(text);
    folded
        .split(|c: char| !c.is_alphanumeric())
        .filter(|w| !w.is_empty())
        .take(MAX_LINE_WORDS)
        .map(str::to_owned)
        .collect()
}

/// Small letters without marks. Compatible forms (wide letters, ligatures) become plain; letters that have a mark inside
/// them and no decomposition become what people type instead. What shows nothing inside a word is left out.
fn fold(text: &str) -> String {
    let shown = |c: &char| !matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}');
    let mut out = String::with_capacity(text.len());
    for c in text.nfkd().filter(|c| !is_combining_mark(*c)).filter(shown).flat_map(char::to_lowercase) {
        match c {
            'ß' => out.push_str("ss"),
            'æ' => out.push_str("ae"),
            'œ' => out.push_str("oe"),
            'ø' => out.push('o'),
            'ł' => out.push('l'),
            'đ' | 'ð' => out.push('d'),
            'ı' => out.push('i'),
            // small letters of a capital may carry a mark of their own
            c if is_combining_mark(c) => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(words: &[&str], line: &str) -> bool {
        let list = WordList { name: "list".to_owned(), words: words.iter().map(|w| (*w).to_owned()).collect() };
        Lexicon::new(&[list]).found_in(line).count() == 1
    }

    #[test]
    fn case_and_diacritics_do_not_hide_a_word() {
        for (word, line) in [
            ("délit d'initié", "C'est un DELIT D'INITIE, non ?"),
            ("vertraulich", "streng VERTRAULICH!"),
            ("groß", "GROSS geschrieben"),
            ("gross", "sehr groß"),
            ("istanbul", "İSTANBUL"),
            ("guarantee", "ｇｕａｒａｎｔｅｅ"),
            ("office", "the oﬃce"),
            ("guarantee", "guar\u{ad}an\u{200b}tee"),
            ("front run*", "he was front-running it"),
            ("guarantee*", "guaranteed"),
        ] {
            assert!(found(&[word], line), "{word} in {line}");
        }
    }

    #[test]
    fn a_word_is_not_found_inside_another_and_a_phrase_only_in_its_order() {
        assert!(!found(&["sure"], "pressure"));
        assert!(!found(&["guarantee"], "guaranteed"));
        assert!(!found(&["front run"], "run front"));
        assert!(!found(&["*", "--", ""], "anything at all * --"));
        assert!(found(&["a b c"], "x a, b; c y"));
    }

    #[test]
    fn nothing_that_is_written_makes_a_match_long() {
        // what would be exponential in a backtracking pattern is words times words here
        let line = "a ".repeat(100_000);
        let lists: Vec<_> = (0..20)
            .map(|n| WordList { name: format!("l{n}"), words: vec![format!("{}b", "a ".repeat(31)); 200] })
            .collect();
        assert_eq!(Lexicon::new(&lists).found_in(&line).count(), 0);
        assert_eq!(words(&line).len(), MAX_LINE_WORDS);
    }
}
