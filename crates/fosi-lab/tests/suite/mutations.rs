//! All readers of files on damaged files: no panic, and memory use bounded by the file's size.
//!
//! Each file is a valid one with some bits flipped, bytes replaced, parts removed, duplicated or exchanged, or numbers
//! made huge. `FOSI_MUTATIONS` sets the number per reader, `FOSI_MUTATION_SEED` the seed; `scripts/mutations` runs a
//! longer campaign.

use allocation_counter::measure;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::campaign::number;
use crate::corpus::seeds;
use crate::readers::{READERS, Reader};

/// The memory that a reader may use in addition to the file: buffers, messages, decoder tables.
const FIXED: u64 = 4 << 20;
/// The maximum expansion of a byte in a file: gzip's best ratio is about 1,000, and a pixel becomes four bytes.
const FACTOR: u64 = 5_000;

/// A damaged copy.
fn mutated(good: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = good.to_vec();
    for _ in 0..random.random_range(1..=4) {
        if bytes.is_empty() {
            break;
        }
        // A byte in a header has the largest effect.
        let reach = match random.random_bool(0.5) {
            true => bytes.len().min(64),
            false => bytes.len(),
        };
        let at = random.random_range(0..reach);
        let end = (at + random.random_range(1..=16)).min(bytes.len());
        match random.random_range(0..8) {
            0 => bytes[at] ^= 1 << random.random_range(0..8),
            1 => bytes[at] = random.random(),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            5 => bytes[at..end].fill(*[0, 0x7f, 0xff].get(random.random_range(0..3)).unwrap()),
            6 => {
                let text = [
                    "-1",
                    "1e999",
                    "nan",
                    "18446744073709551616",
                    "\"",
                    "{",
                    "\n",
                    ",",
                ];
                let text = text[random.random_range(0..text.len())];
                bytes.splice(at..end, text.bytes());
            }
            _ => {
                let other = random.random_range(0..bytes.len());
                bytes.swap(at, other);
            }
        }
    }
    bytes
}

/// Reads damaged copies of `good`; success and failure are both allowed and are counted.
fn campaign(name: &str, good: &[u8], read: Reader) {
    assert_eq!(read(good), Ok(()), "{name}: the good file");
    let (count, seed) = (
        number("FOSI_MUTATIONS", 300),
        number("FOSI_MUTATION_SEED", 1),
    );
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut refused = 0;
    for round in 0..count {
        let bytes = mutated(good, &mut random);
        let mut outcome = Ok(());
        let used = measure(|| outcome = read(&bytes));
        let allowed = FIXED + FACTOR * bytes.len() as u64;
        assert!(
            used.bytes_max <= allowed,
            "{name}, round {round}: {} bytes",
            used.bytes_max
        );
        if let Err(message) = outcome {
            assert!(message.len() > 10, "{name}, round {round}: `{message}`");
            refused += 1;
        }
    }
    eprintln!("{name}: {count} damaged files, {refused} refused, seed {seed}");
    assert!(refused > 0, "{name}: nothing was refused");
}

#[test]
fn damaged_files_are_refused_or_read() {
    for (name, read) in READERS {
        for (file, good) in seeds(name) {
            campaign(&format!("{name}/{file}"), &good, read);
        }
    }
}
