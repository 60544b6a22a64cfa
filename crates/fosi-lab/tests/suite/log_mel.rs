//! Log-mel patches against librosa and TensorFlow (the file was written by tests/suite/golden/log_mel.py) and closed
//! forms.

use std::f64::consts::TAU;
use std::io::Read;

use flate2::read::GzDecoder;
use fosi_lab::data::{BANDS, FRAMES, LogMel, MelFilters, PATCH_SAMPLES};

const GOLDEN: &[u8] = include_bytes!("golden/log_mel.bin.gz");
/// The golden file contains every fifth frame.
const STRIDE: usize = 5;

fn noise(length: usize, amplitude: f64) -> impl Iterator<Item = f64> {
    let mut state = 1u32;
    (0..length).map(move |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        amplitude * (f64::from(state >> 16) / 32768.0 - 1.0)
    })
}

fn times(length: usize) -> impl Iterator<Item = f64> {
    (0..length).map(|i| i as f64 / 16000.0)
}

/// The signals of tests/suite/golden/log_mel.py.
fn signals() -> [Vec<f32>; 5] {
    let tones = |t: f64| -> f64 {
        let tone = |f: f64| 0.3 * (TAU * f * t).sin();
        [440.0, 1000.0, 3150.0].map(tone).iter().sum()
    };
    let voice = |t: f64| match t < 0.45 {
        true => {
            (-8.0 * t).exp()
                * (TAU / 2.0 * t / 0.45).sin()
                * (TAU * (200.0 * t + 1500.0 * t * t)).sin()
        }
        false => 0.0,
    };
    let quiet = noise(15600, 1e-3).zip(times(15600));
    let signals: [Vec<f64>; 5] = [
        noise(15600, 0.5).collect(),
        times(15600).map(tones).collect(),
        quiet
            .map(|(noise, t)| 0.9 * (TAU * 700.0 * t).sin() + noise)
            .collect(),
        times(15600).map(voice).collect(),
        times(31777)
            .map(|t| 0.7 * (TAU * (50.0 * t + 1950.0 * t * t)).sin())
            .collect(),
    ];
    signals.map(|signal| signal.into_iter().map(|x| x as f32).collect())
}

fn golden() -> Vec<f32> {
    let mut bytes = Vec::new();
    GzDecoder::new(GOLDEN).read_to_end(&mut bytes).unwrap();
    let numbers = bytes.chunks_exact(4);
    numbers
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect()
}

#[test]
fn patches_agree_with_other_implementations() {
    let log_mel = LogMel::new();
    let mut found = Vec::new();
    let mut patches = Vec::new();
    for signal in signals() {
        let features = log_mel.patches(&signal);
        assert_eq!(features.len() % (FRAMES * BANDS), 0);
        patches.push(features.len() / (FRAMES * BANDS));
        for patch in features.chunks(FRAMES * BANDS) {
            found.extend(patch.chunks(BANDS).step_by(STRIDE).flatten().copied());
        }
    }
    assert_eq!(patches, [1, 1, 1, 1, 2]);
    let expected = golden();
    assert_eq!(found.len(), expected.len());
    let difference = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
    let worst = difference.fold(0.0, f32::max);
    // Far below the required 1e-4, because both use f64.
    assert!(worst <= 2e-6, "{worst}");
    // The signals are not trivial.
    let spread =
        |x: &[f32]| x.iter().copied().fold(0.0, f32::max) - x.iter().copied().fold(0.0, f32::min);
    assert!(spread(&expected) > 7.0);
}

/// A window's transform summed term by term, with weights from the formula.
#[test]
fn a_frame_follows_the_formula() {
    let signal: Vec<f32> = noise(PATCH_SAMPLES, 0.5).map(|x| x as f32).collect();
    let features = LogMel::new().patches(&signal);
    let mel = |f: f64| 1127.0 * (1.0 + f / 700.0).ln();
    for (frame, band) in [(0, 0), (3, 17), (95, 63)] {
        let samples = &signal[160 * frame..160 * frame + 400];
        let edge = |i: usize| mel(125.0) + (mel(7500.0) - mel(125.0)) * (band + i) as f64 / 65.0;
        let mut energy = 0.0;
        for bin in 0..=256 {
            let (mut re, mut im) = (0.0, 0.0);
            for (i, &x) in samples.iter().enumerate() {
                let x = f64::from(x) * (TAU * i as f64 / 800.0).sin().powi(2);
                let (sin, cos) = (TAU * (bin * i) as f64 / 512.0).sin_cos();
                re += x * cos;
                im -= x * sin;
            }
            let m = mel(bin as f64 * 31.25);
            let rise = (m - edge(0)) / (edge(1) - edge(0));
            let fall = (edge(2) - m) / (edge(2) - edge(1));
            energy += rise.min(fall).max(0.0) * re.hypot(im);
        }
        let found = f64::from(features[frame * BANDS + band]);
        assert!((found - (energy + 0.01).ln()).abs() < 1e-6);
    }
}

#[test]
fn patches_are_counted_in_whole_ones() {
    let cases = [
        (0, 0),
        (399, 0),
        (15_599, 0),
        (15_600, 1),
        (30_959, 1),
        (30_960, 2),
        (160_000, 10),
    ];
    for (samples, patches) in cases {
        assert_eq!(LogMel::patch_count(samples), patches, "{samples}");
        let features = LogMel::new().patches(&vec![0.25; samples]);
        assert_eq!(features.len(), patches * FRAMES * BANDS);
    }
}

/// The second patch begins 0.96 s after the first.
#[test]
fn patches_do_not_overlap() {
    let signal: Vec<f32> = noise(30_960, 0.5).map(|x| x as f32).collect();
    let log_mel = LogMel::new();
    let both = log_mel.patches(&signal);
    assert_eq!(both[..FRAMES * BANDS], log_mel.patches(&signal[..15_600]));
    assert_eq!(both[FRAMES * BANDS..], log_mel.patches(&signal[15_360..]));
}

/// Between the first and the last peak the triangles sum to 1 in every bin.
#[test]
fn filters_share_out_what_lies_between_their_peaks() {
    let filters = MelFilters::new(20, 512, 16000.0, 125.0, 7500.0);
    for bin in 10..200 {
        let mut magnitudes = vec![0.0; 257];
        magnitudes[bin] = 2.0;
        let sum: f64 = filters.apply(&magnitudes).sum();
        assert!((sum - 2.0).abs() < 1e-12, "{bin}: {sum}");
    }
    for bin in [0, 4, 240, 256] {
        let mut magnitudes = vec![0.0; 257];
        magnitudes[bin] = 2.0;
        assert_eq!(filters.apply(&magnitudes).sum::<f64>(), 0.0, "{bin}");
    }
}
