//! The web interface, as Vite built it from `web/`, in the program. `build.rs` puts it here; the `api` serves it.
//!
//! Nothing is generated or compressed while the collector runs. A build without `web/dist` has a page that says how to build
//! it; `packaging/deb` refuses such a program.

include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// A file of the web interface.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// Its name, without folders. That of an asset has a digest of its content.
    pub name: &'static str,
    /// Its `Content-Type`.
    pub media_type: &'static str,
    /// A digest of its content, hexadecimal.
    pub digest: &'static str,
    /// Its content.
    pub content: &'static [u8],
    /// Its content in gzip, if that is smaller.
    pub gzip: Option<&'static [u8]>,
}

/// What the page loads under this name.
#[must_use]
pub fn asset(name: &str) -> Option<&'static File> {
    ASSETS.iter().find(|asset| asset.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So that it opens at once over a slow line, too.
    const MOST_GZIP_BYTES: usize = 100_000;

    #[test]
    fn the_page_is_small_and_asks_no_other_host() {
        let files = || ASSETS.iter().chain([&INDEX]);
        let sent: usize = files().map(|file| file.gzip.unwrap_or(file.content).len()).sum();
        assert!(sent <= MOST_GZIP_BYTES, "{sent}");
        let page = std::str::from_utf8(INDEX.content).unwrap();
        assert!(!page.contains("://") && !page.contains("<style") && !page.contains(" style="), "{page}");
        for script in page.split("<script").skip(1) {
            let (tag, rest) = script.split_once('>').unwrap();
            assert!(tag.contains("src=") && rest.starts_with("</script>"), "inline scripts do not run: {page}");
        }
    }

    #[test]
    fn the_page_loads_only_what_is_served() {
        let page = std::str::from_utf8(INDEX.content).unwrap();
        for attribute in ["src=\"", "href=\""] {
            let links = page.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap());
            for link in links.filter(|link| !link.starts_with("data:")) {
                assert!(link.strip_prefix("/assets/").and_then(asset).is_some(), "{link} is not served");
            }
        }
        assert_eq!(IS_STUB, ASSETS.is_empty());
    }
}
