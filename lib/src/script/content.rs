//! Whether a file is the one that was applied: line ends and a byte-order mark are no change.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use md5::{Digest, Md5};

use super::source::Hashes;
use crate::error::{Error, Result};
use crate::file::hexadecimal;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// md5 of a file's bytes and SHA-256 of its text, as [`super::Script::checksum`] and [`super::Script::digest`] have
/// them, for files that are no SQL.
pub(crate) fn file_digests(path: &Path) -> Result<(String, String)> {
    let refused = |error| Error::io(format_args!("cannot read \"{}\"", path.display()), &error);
    let mut file = File::open(path).map_err(refused)?;
    let mut hashes = Hashes::with_checksum();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = file.read(&mut buffer).map_err(refused)?;
        if length == 0 {
            let fingerprint = hashes.finish();
            return Ok((fingerprint.checksum, fingerprint.digest));
        }
        hashes.update(&buffer[..length]);
    }
}

/// Whether a file has the content that was recorded. Rows of pum 0.10 have the md5 of the bytes only: then the same
/// text with other line ends and with or without a byte-order mark is looked for.
pub(crate) fn same_content(path: &Path, checksum: &str, digest: Option<&str>) -> Result<bool> {
    let (now, digest_now) = file_digests(path)?;
    if let Some(digest) = digest {
        return Ok(digest == digest_now);
    }
    if now == checksum {
        return Ok(true);
    }
    let bytes =
        std::fs::read(path).map_err(|error| Error::io(format_args!("cannot read \"{}\"", path.display()), &error))?;
    let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
    let mut unix = Vec::with_capacity(text.len());
    for (index, byte) in text.iter().enumerate() {
        if *byte != b'\r' || text.get(index + 1) != Some(&b'\n') {
            unix.push(*byte);
        }
    }
    let mut windows = Vec::with_capacity(unix.len());
    for byte in &unix {
        if *byte == b'\n' {
            windows.push(b'\r');
        }
        windows.push(*byte);
    }
    let variants = [&unix, &windows];
    Ok(variants.iter().any(|text| {
        let plain = Md5::digest(text.as_slice());
        let marked = Md5::new()
            .chain_update(BYTE_ORDER_MARK)
            .chain_update(text.as_slice())
            .finalize();
        hexadecimal(&plain) == checksum || hexadecimal(&marked) == checksum
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_and_a_byte_order_mark_are_no_change() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.sql");
        let contents: [&[u8]; 3] = [
            b"select 1;\nselect 2;\n",
            b"select 1;\r\nselect 2;\r\n",
            b"\xef\xbb\xbfselect 1;\nselect 2;\n",
        ];
        let mut recorded = Vec::new();
        for content in contents {
            std::fs::write(&path, content).unwrap();
            recorded.push(file_digests(&path).unwrap());
        }
        for content in contents {
            std::fs::write(&path, content).unwrap();
            for (checksum, digest) in &recorded {
                assert!(same_content(&path, checksum, Some(digest)).unwrap());
                assert!(same_content(&path, checksum, None).unwrap());
            }
        }
        std::fs::write(&path, "select 1;\nselect 3;\n").unwrap();
        assert!(!same_content(&path, &recorded[0].0, None).unwrap());
        assert!(!same_content(&path, &recorded[0].0, Some(&recorded[0].1)).unwrap());
    }
}
