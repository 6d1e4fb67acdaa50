//! The built pages, read once at the start: what is served is what was there then, and no path of a request ever
//! reaches the file system.

use axum::body::Bytes;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::path::Path;

/// All pages together: script, WebAssembly and fonts stay far below; more is a wrong folder.
const MAX_PAGES: u64 = 64 << 20;
/// Deepest folder.
const MAX_DEPTH: usize = 8;
/// Paths that are the application's own and all show its one page.
const APPLICATION: [&str; 5] = ["", "officer", "admin", "guest", "oidc/callback"];

struct Page {
    bytes: Bytes,
    kind: &'static str,
    cache: &'static str,
    tag: String,
}

/// The pages by path without the leading slash.
pub struct Pages(HashMap<String, Page>);

fn kind_of(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "wasm" => "application/wasm",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

/// Does the path carry a hash of the content (eight or more hexadecimal or base32 characters after a dash or dot)? Then
/// it never changes.
fn is_hashed(path: &str) -> bool {
    path.split('/').any(|part| {
        let hash = |piece: &str| {
            piece.len() >= 8
                && piece.bytes().all(|b| b.is_ascii_alphanumeric())
                && piece.bytes().any(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
        };
        part.split(['-', '.']).skip(1).any(hash)
    })
}

impl Pages {
    /// Reads everything under `folder`.
    ///
    /// # Errors
    /// A text that says what could not be read.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let (mut pages, mut total) = (HashMap::new(), 0);
        collect(folder, "", 0, &mut pages, &mut total)?;
        Ok(Self(pages))
    }

    /// The page at a request's path, if there is one.
    pub fn answer(&self, path: &str, if_none_match: Option<&str>) -> Option<Response> {
        let path = path.trim_start_matches('/');
        let path = if APPLICATION.contains(&path) { "index.html" } else { path };
        let page = self.0.get(path)?;
        let headers = [(header::ETAG, page.tag.as_str()), (header::CACHE_CONTROL, page.cache)];
        if if_none_match == Some(page.tag.as_str()) {
            return Some((axum::http::StatusCode::NOT_MODIFIED, headers).into_response());
        }
        Some((headers, [(header::CONTENT_TYPE, page.kind)], page.bytes.clone()).into_response())
    }
}

fn collect(
    folder: &Path,
    under: &str,
    depth: usize,
    pages: &mut HashMap<String, Page>,
    total: &mut u64,
) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("cannot read {}: {e}", folder.display());
    if depth > MAX_DEPTH {
        return Err(format!("{} lies deeper than {MAX_DEPTH} folders: this is not a built page", folder.display()));
    }
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') {
            continue;
        }
        let path = format!("{under}{name}");
        // a link could lead out of the folder
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            collect(&entry.path(), &format!("{path}/"), depth + 1, pages, total)?;
        } else if kind.is_file() {
            *total += entry.metadata().map_err(failed)?.len();
            if *total > MAX_PAGES {
                return Err(format!(
                    "{} holds more than {} MiB: this is not a built page",
                    folder.display(),
                    MAX_PAGES >> 20
                ));
            }
            let bytes =
                std::fs::read(entry.path()).map_err(|e| format!("cannot read {}: {e}", entry.path().display()))?;
            let tag = format!("\"{}\"", hex::encode(&Sha256::digest(&bytes)[..16]));
            let cache = if is_hashed(&path) { "public, max-age=31536000, immutable" } else { "no-cache" };
            pages.insert(path.clone(), Page { bytes: bytes.into(), kind: kind_of(&path), cache, tag });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_with_a_hash_are_kept_for_ever() {
        assert!(
            is_hashed("main-4f3a9b21.js")
                && is_hashed("e2ee-0123456789ab/e2ee_wasm_bg.wasm")
                && is_hashed("worker-AB12CD34.js")
        );
        assert!(!is_hashed("index.html") && !is_hashed("manifest-something.json") && !is_hashed("a.webmanifest"));
    }

    #[test]
    fn pages_are_served_by_exact_name_with_their_type_and_nothing_else_is() {
        let folder = tempfile::tempdir().expect("folder");
        std::fs::write(folder.path().join("index.html"), "<!doctype html>").expect("written");
        std::fs::write(folder.path().join(".secret"), "x").expect("written");
        std::fs::create_dir(folder.path().join("e2ee-0123456789ab")).expect("made");
        std::fs::write(folder.path().join("e2ee-0123456789ab/a.wasm"), "\0asm").expect("written");
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("passwd")).expect("linked");
        let pages = Pages::read(folder.path()).expect("read");
        let kind = |path: &str| {
            pages.answer(path, None).map(|r| r.headers()[header::CONTENT_TYPE].to_str().expect("text").to_owned())
        };
        assert_eq!(kind("/").as_deref(), Some("text/html; charset=utf-8"));
        assert_eq!((kind("/officer"), kind("/admin")), (kind("/"), kind("/")));
        assert_eq!(kind("/e2ee-0123456789ab/a.wasm").as_deref(), Some("application/wasm"));
        for path in ["/.secret", "/passwd", "/../Cargo.toml", "/e2ee-0123456789ab", "/nothing"] {
            assert!(pages.answer(path, None).is_none(), "{path}");
        }
    }
}
