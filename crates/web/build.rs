//! Puts what Vite built, `web/dist`, into the program: each file as it is and compressed, so that nothing is compressed while
//! it is served. Without `web/dist`, there is a page instead that says how to build it.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

/// The kinds of files that the page may have.
const MEDIA_TYPES: [(&str, &str); 7] = [
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("json", "application/json"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("woff2", "font/woff2"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let crate_folder = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let web = crate_folder.join("../../web");
    let dist = web.join("dist");
    // Cargo runs this again and again while a path is missing. What has not been built has no node_modules either, so there
    // is not much to look at.
    let watched = [dist.clone(), web, crate_folder.join("build.rs")].into_iter().find(|path| path.exists());
    println!("cargo::rerun-if-changed={}", watched.unwrap_or_default().display());
    println!("cargo::rerun-if-changed={}", crate_folder.join("stub.html").display());

    let built = dist.join("index.html");
    let is_built = built.exists();
    let index = if is_built { built } else { crate_folder.join("stub.html") };
    let mut code =
        format!("/// Whether the page only says how to build it.\npub const IS_STUB: bool = {};\n", !is_built);
    writeln!(code, "/// The page.\npub static INDEX: File = {};", embed(&index, &out)?)?;
    writeln!(code, "/// What it loads.\npub static ASSETS: &[File] = &[")?;
    for path in if is_built { assets(&dist)? } else { Vec::new() } {
        writeln!(code, "    {},", embed(&path, &out)?)?;
    }
    writeln!(code, "];")?;
    fs::write(out.join("page.rs"), code)?;
    Ok(())
}

/// The files beside the page, by name.
fn assets(dist: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let names = |folder: &Path| -> Result<Vec<PathBuf>, std::io::Error> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect()
    };
    let other = names(dist)?.into_iter().find(|path| !path.ends_with("index.html") && !path.ends_with("assets"));
    if let Some(other) = other {
        return Err(format!("{}: only index.html and assets/ are served", other.display()).into());
    }
    let mut assets = names(&dist.join("assets"))?;
    assets.sort();
    Ok(assets)
}

/// The expression of a file; writes its compressed form if that is smaller.
fn embed(path: &Path, out: &Path) -> Result<String, Box<dyn Error>> {
    let path = path.canonicalize()?;
    let name = path.file_name().and_then(|name| name.to_str()).ok_or("a file name is not UTF-8")?;
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let (_, media_type) = MEDIA_TYPES
        .iter()
        .find(|(known, _)| *known == extension)
        .ok_or_else(|| format!("{}: its media type is unknown to crates/web/build.rs", path.display()))?;
    let content = fs::read(&path)?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&content)?;
    let gzip = gzip.finish()?;
    let compressed = if gzip.len() < content.len() {
        let path = out.join(format!("{name}.gz"));
        fs::write(&path, gzip)?;
        format!("Some(include_bytes!({path:?}))")
    } else {
        "None".to_owned()
    };
    let mut digest = String::new();
    for octet in Sha256::digest(&content).iter().take(16) {
        write!(digest, "{octet:02x}")?;
    }
    Ok(format!(
        "File {{ name: {name:?}, media_type: {media_type:?}, digest: {digest:?}, content: include_bytes!({path:?}), \
         gzip: {compressed} }}"
    ))
}
