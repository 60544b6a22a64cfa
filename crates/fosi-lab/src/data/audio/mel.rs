//! Triangular filters on the mel scale, which sum a spectrum into bands whose widths follow human pitch perception.

/// Filters for `bands` bands between `lowest` and `highest` Hz.
///
/// With m(f) = 1127 ln(1 + f/700) (HTK's scale, O'Shaughnessy 1987), the edges e₀ … e_{bands+1} are equally spaced in m
/// from m(lowest) to m(highest). Band i weights bin b, whose frequency is b·rate/length, by
///
/// w = max(0, min((m_b − eᵢ)/(eᵢ₊₁ − eᵢ), (eᵢ₊₂ − m_b)/(eᵢ₊₂ − eᵢ₊₁))).
///
/// The triangles are linear in mel with a peak of 1, as in VGGish, YAMNet (Hershey et al. 2017) and HTK. (Those of
/// librosa and torchaudio are linear in Hz, which changes weights by up to 0.005.)
#[derive(Clone, Debug, PartialEq)]
pub struct MelFilters {
    bands: Vec<Band>,
}

#[derive(Clone, Debug, PartialEq)]
struct Band {
    /// The first bin with a weight.
    start: usize,
    weights: Vec<f64>,
}

impl MelFilters {
    /// Filters for the magnitudes (bins 0 to length/2) of a transform of `length` samples at `rate` samples per second.
    pub fn new(bands: usize, length: usize, rate: f64, lowest: f64, highest: f64) -> Self {
        let (bottom, top) = (mel(lowest), mel(highest));
        let edge = |index: usize| bottom + (top - bottom) * index as f64 / (bands + 1) as f64;
        let weight = |band: usize, bin: usize| {
            let (left, peak, right) = (edge(band), edge(band + 1), edge(band + 2));
            let at = mel(bin as f64 * rate / length as f64);
            ((at - left) / (peak - left)).min((right - at) / (right - peak))
        };
        let band = |band: usize| {
            let bins = 0..=length / 2;
            let start = bins.clone().find(|&bin| weight(band, bin) > 0.0);
            let start = start.unwrap_or_default();
            let weights = (start..=length / 2).map(|bin| weight(band, bin));
            Band {
                start,
                weights: weights.take_while(|&weight| weight > 0.0).collect(),
            }
        };
        Self {
            bands: (0..bands).map(band).collect(),
        }
    }

    /// The weighted sum of each band.
    ///
    /// # Panics
    /// If `magnitudes` has fewer than length/2 + 1 elements.
    pub fn apply<'a>(&'a self, magnitudes: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        self.bands.iter().map(|band| {
            let bins = &magnitudes[band.start..band.start + band.weights.len()];
            band.weights.iter().zip(bins).map(|(w, x)| w * x).sum()
        })
    }
}

fn mel(frequency: f64) -> f64 {
    1127.0 * (1.0 + frequency / 700.0).ln()
}
