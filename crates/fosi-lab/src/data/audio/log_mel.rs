//! Log-mel patches: sound as images of 96 frames by 64 bands, the input of VGGish and YAMNet (Hershey et al. 2017).

use std::f64::consts::TAU;
use std::fmt;
use std::sync::Arc;

use rustfft::num_complex::Complex;
use rustfft::{Fft, FftPlannerScalar};

use super::MelFilters;

/// Samples per second.
pub const RATE: u32 = 16_000;
/// Frames per patch: 0.96 s.
pub const FRAMES: usize = 96;
/// Mel bands per frame.
pub const BANDS: usize = 64;
/// Samples of the shortest sound that fills a patch, 0.975 s: 95 hops plus one window.
pub const PATCH_SAMPLES: usize = (FRAMES - 1) * HOP + WINDOW;

/// 25 ms.
const WINDOW: usize = 400;
/// 10 ms.
const HOP: usize = 160;
/// The power of two above the window.
const TRANSFORM: usize = 512;
const LOWEST: f64 = 125.0;
const HIGHEST: f64 = 7500.0;
/// Keeps the logarithm of silence finite.
const OFFSET: f64 = 0.01;

/// Converts sound with 16,000 samples per second into log-mel patches.
///
/// Frame t consists of the 400 samples from 160t on, multiplied by a periodic Hann window h_i = (1 − cos(2πi/400))/2
/// and padded with zeros to 512. Its 64 numbers are ln(Σ_b w_b |X_b| + 0.01) with the magnitudes |X_b| of its Fourier
/// transform and the weights of [`MelFilters`] from 125 to 7,500 Hz. A patch consists of 96 consecutive frames, without
/// overlap; an incomplete patch at the end is dropped.
///
/// ```
/// use fosi_lab::data::{BANDS, FRAMES, LogMel, PATCH_SAMPLES};
///
/// let silence = LogMel::new().patches(&vec![0.0; PATCH_SAMPLES]);
/// assert_eq!(silence.len(), FRAMES * BANDS);
/// assert!(silence.iter().all(|&x| x == 0.01f32.ln()));
/// ```
#[derive(Clone)]
pub struct LogMel {
    transform: Arc<dyn Fft<f64>>,
    window: Vec<f64>,
    filters: MelFilters,
}

impl Default for LogMel {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LogMel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogMel").finish_non_exhaustive()
    }
}

impl LogMel {
    /// Plans the transform.
    pub fn new() -> Self {
        let hann = |i: usize| 0.5 - 0.5 * (TAU * i as f64 / WINDOW as f64).cos();
        Self {
            // Uses no vector instructions, for less code to compile and the same bits on every machine.
            transform: FftPlannerScalar::new().plan_fft_forward(TRANSFORM),
            window: (0..WINDOW).map(hann).collect(),
            filters: MelFilters::new(BANDS, TRANSFORM, f64::from(RATE), LOWEST, HIGHEST),
        }
    }

    /// The number of patches in `samples` samples.
    pub fn patch_count(samples: usize) -> usize {
        match samples.checked_sub(WINDOW) {
            Some(rest) => (1 + rest / HOP) / FRAMES,
            None => 0,
        }
    }

    /// The patches of `samples`: patches×96×64, frame by frame.
    pub fn patches(&self, samples: &[f32]) -> Vec<f32> {
        let frames = Self::patch_count(samples.len()) * FRAMES;
        let mut features = Vec::with_capacity(frames * BANDS);
        // Uses f64, because in f32 the rounding errors of a loud tone would be visible in quiet neighbouring bands.
        let zero = Complex::new(0.0, 0.0);
        let mut spectrum = vec![zero; TRANSFORM];
        let mut scratch = vec![zero; self.transform.get_inplace_scratch_len()];
        // The other half is the mirror image.
        let mut magnitudes = vec![0.0; TRANSFORM / 2 + 1];
        for frame in samples.windows(WINDOW).step_by(HOP).take(frames) {
            spectrum[WINDOW..].fill(zero);
            for ((x, sample), h) in spectrum.iter_mut().zip(frame).zip(&self.window) {
                *x = Complex::new(f64::from(*sample) * h, 0.0);
            }
            self.transform
                .process_with_scratch(&mut spectrum, &mut scratch);
            for (magnitude, x) in magnitudes.iter_mut().zip(&spectrum) {
                *magnitude = x.norm();
            }
            let bands = self.filters.apply(&magnitudes);
            features.extend(bands.map(|energy| (energy + OFFSET).ln() as f32));
        }
        features
    }
}
