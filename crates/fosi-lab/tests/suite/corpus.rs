//! The fuzzer's corpus: valid files of every format, and inputs found by the fuzzer.

use std::fs;
use std::path::PathBuf;

use crate::readers::READERS;

/// The files of one reader's corpus, by name.
fn files(reader: &str) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let entries = fs::read_dir(folder.join(reader)).unwrap_or_else(|e| panic!("{reader}: {e}"));
    let mut files: Vec<_> = entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, fs::read(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// The valid files, whose names begin with `good`.
pub fn seeds(reader: &str) -> Vec<(String, Vec<u8>)> {
    let mut files = files(reader);
    files.retain(|(name, _)| name.starts_with("good"));
    assert!(!files.is_empty(), "{reader} has no good file");
    files
}

#[test]
fn no_file_of_the_corpus_makes_a_reader_panic() {
    for (reader, read) in READERS {
        for (name, bytes) in files(reader) {
            if let Err(message) = read(&bytes) {
                assert!(message.len() > 10, "{reader}/{name}: `{message}`");
            }
        }
    }
}
