//! The SHA-256 of a task's examples, which identifies the data in a run's record.

use sha2::{Digest, Sha256};

use crate::data::{Dataset, Images, Patches, Sequences};

/// A checksum over the added values, in order.
#[derive(Default)]
pub(super) struct Checksum(Sha256);

impl Checksum {
    /// The checksum of a training and a validation part.
    pub(super) fn of<T>(parts: [&T; 2], add: impl Fn(&mut Self, &T)) -> String {
        let mut sum = Self::default();
        for part in parts {
            add(&mut sum, part);
        }
        sum.finish()
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    pub(super) fn dataset(&mut self, data: &Dataset) {
        self.floats(&data.features);
        self.bytes(&data.labels);
    }

    pub(super) fn images(&mut self, images: &Images) {
        for length in [images.channels, images.height, images.width] {
            self.0.update((length as u64).to_le_bytes());
        }
        self.bytes(&images.pixels);
        self.bytes(&images.labels);
    }

    pub(super) fn sequences(&mut self, sequences: &Sequences) {
        self.0
            .update((sequences.sequence_length() as u64).to_le_bytes());
        self.bytes(sequences.codes());
    }

    pub(super) fn patches(&mut self, patches: &Patches) {
        self.floats(&patches.features);
        for labels in &patches.labels {
            let bytes: Vec<u8> = labels
                .iter()
                .flat_map(|label| label.to_le_bytes())
                .collect();
            self.bytes(&bytes);
        }
    }

    fn floats(&mut self, values: &[f32]) {
        self.0.update((values.len() as u64).to_le_bytes());
        let mut bytes = Vec::new();
        for values in values.chunks(1 << 14) {
            bytes.clear();
            bytes.extend(values.iter().flat_map(|x| x.to_le_bytes()));
            self.0.update(&bytes);
        }
    }

    /// The checksum in hexadecimal digits.
    pub(super) fn finish(self) -> String {
        format!("{:x}", self.0.finalize())
    }
}
