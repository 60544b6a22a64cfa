//! Random examples of the right shape, on which a dry run times a gradient.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::config::TrainConfig;
use crate::data::{BANDS, Dataset, FRAMES, Images, Patches};

/// The largest random batch; the time of a gradient on a larger batch is extrapolated.
const MOST: usize = 256;

/// The number of random examples for a run: one batch.
pub(super) fn count(config: &TrainConfig) -> usize {
    config.batch.min(MOST)
}

fn random() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(0)
}

/// `count` images of noise.
pub(super) fn images(count: usize, (width, height): (usize, usize), classes: usize) -> Images {
    let channels = 3;
    let mut pixels = vec![0; count * channels * height * width];
    random().fill_bytes(&mut pixels);
    Images {
        width,
        height,
        channels,
        pixels,
        labels: (0..count).map(|i| (i % classes.max(1)) as u8).collect(),
        class_names: (0..classes).map(|class| class.to_string()).collect(),
    }
}

/// `count` vectors of `dim` numbers in [0, 1).
pub(super) fn vectors(name: &str, count: usize, dim: usize, classes: usize) -> Dataset {
    let mut random = random();
    Dataset {
        name: name.to_owned(),
        features: (0..count * dim).map(|_| random.random()).collect(),
        labels: (0..count).map(|i| (i % classes.max(1)) as u8).collect(),
        dim,
        classes,
    }
}

/// `count` patches of noise, each with one class.
pub(super) fn patches(count: usize, classes: usize) -> Patches {
    let mut random = random();
    Patches {
        features: (0..count * FRAMES * BANDS)
            .map(|_| random.random())
            .collect(),
        labels: (0..count)
            .map(|i| vec![(i % classes.max(1)) as u16])
            .collect(),
        classes,
        skipped: Vec::new(),
    }
}
