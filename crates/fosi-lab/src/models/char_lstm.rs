//! The paper's task LM: a character-level language model with two LSTM layers.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::{log_softmax, relu, sigmoid, softmax};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::{Rng, RngExt};

use super::init::Init;

/// The shape of a [`CharLstm`]. The default is the paper's: 1,018,240 parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CharLstmConfig {
    /// The size of the alphabet, at least 1; default 128, the ASCII codes.
    pub symbols: usize,
    /// The length of each layer's state and of the dense layer, at least 1; default 256.
    pub hidden: usize,
}

impl Default for CharLstmConfig {
    fn default() -> Self {
        Self {
            symbols: 128,
            hidden: 256,
        }
    }
}

impl CharLstmConfig {
    /// The initial model: normal weights with standard deviation 1/√fan_in (for a gate, the fan-in includes input and
    /// state), zero biases.
    ///
    /// # Panics
    /// If a field is outside its documented range.
    pub fn init(&self, seed: u64, device: &Device) -> CharLstm {
        assert!(
            self.symbols > 0 && self.hidden > 0,
            "a language model has at least one symbol and one hidden unit"
        );
        let mut init = Init::new(seed, device);
        let h = self.hidden;
        CharLstm {
            first: Lstm::new(self.symbols, h, &mut init),
            second: Lstm::new(h, h, &mut init),
            dense: init.linear(h, h),
            output: init.linear(h, self.symbols),
        }
    }
}

/// One-hot characters, LSTM, ReLU, LSTM, dense, ReLU, dense: scores of the next character.
///
/// ```
/// use burn::tensor::{Device, Int, Tensor};
/// use fosi_lab::models::char_lstm::CharLstmConfig;
///
/// let device = Device::flex();
/// let model = CharLstmConfig { symbols: 128, hidden: 8 }.init(1, &device);
/// let codes = Tensor::<2, Int>::from_ints([[104, 101, 108], [112, 33, 10]], &device);
/// assert_eq!(model.forward(codes).dims(), [2, 3, 128]);
/// ```
#[derive(Module, Debug)]
pub struct CharLstm {
    first: Lstm,
    second: Lstm,
    dense: Linear,
    output: Linear,
}

impl CharLstm {
    /// Scores of the next character (batch×time×symbols) after each of the characters `codes` (batch×time); every
    /// sequence starts from a zero state.
    pub fn forward(&self, codes: Tensor<2, Int>) -> Tensor<3> {
        let [batch, time] = codes.dims();
        let by_time = self.by_time(codes);
        let [_, symbols] = by_time.dims();
        by_time.reshape([time, batch, symbols]).swap_dims(0, 1)
    }

    /// Softmax cross-entropy against the characters `targets` (batch×time), averaged over both.
    pub fn loss(&self, codes: Tensor<2, Int>, targets: Tensor<2, Int>) -> Tensor<1> {
        let [batch, time] = targets.dims();
        let targets = targets.swap_dims(0, 1).reshape([time * batch, 1]);
        let scores = log_softmax(self.by_time(codes), 1);
        scores.gather(1, targets).mean().neg()
    }

    /// Continues the nonempty `prompt` by `length` characters, each drawn with the model's probabilities; codes above
    /// 255 are written as 255.
    pub fn write(&self, prompt: &[u8], length: usize, random: &mut impl Rng) -> Vec<u8> {
        self.characters(prompt, random).take(length).collect()
    }

    /// Like [`write`](Self::write), one character at a time and without end.
    pub fn characters<'a>(
        &'a self,
        prompt: &[u8],
        random: &'a mut impl Rng,
    ) -> impl Iterator<Item = u8> + 'a {
        let device = self.recurrent_device();
        let mut states = [None, None];
        let mut new = prompt.to_vec();
        std::iter::from_fn(move || {
            let codes: Vec<i64> = new.iter().map(|&c| i64::from(c)).collect();
            let codes = Tensor::from_data(TensorData::new(codes, [1, new.len()]), &device);
            let scores = self.scores(codes, &mut states);
            let [rows, symbols] = scores.dims();
            let last = softmax(scores.narrow(0, rows - 1, 1), 1).reshape([symbols]);
            let character = drawn(last, random);
            new = vec![character];
            Some(character)
        })
    }

    fn recurrent_device(&self) -> Device {
        self.first.recurrent.val().device()
    }

    /// Like [`forward`](Self::forward), but with a sequence's characters `batch` rows apart: (time·batch)×symbols.
    fn by_time(&self, codes: Tensor<2, Int>) -> Tensor<2> {
        self.scores(codes, &mut [None, None])
    }

    /// Both layers start from `states` (zeros for `None`) and write their last states there.
    fn scores(&self, codes: Tensor<2, Int>, states: &mut [Option<State>; 2]) -> Tensor<2> {
        let [batch, time] = codes.dims();
        let codes = codes.swap_dims(0, 1).reshape([time * batch]);
        // The product of a one-hot vector and a matrix is a row of the matrix.
        let inputs = self.first.input.val().select(0, codes);
        let hidden = self.first.run(inputs, time, &mut states[0]);
        let inputs = relu(hidden).matmul(self.second.input.val());
        let hidden = self.second.run(inputs, time, &mut states[1]);
        self.output.forward(relu(self.dense.forward(hidden)))
    }
}

/// Draws a character with the given probabilities.
fn drawn(probabilities: Tensor<1>, random: &mut impl Rng) -> u8 {
    let mut left: f64 = random.random();
    let probabilities = probabilities.into_data();
    let mut last = 0;
    for (code, p) in probabilities.iter::<f64>().enumerate() {
        last = code;
        left -= p;
        if left < 0.0 {
            break;
        }
    }
    u8::try_from(last).unwrap_or(u8::MAX)
}

/// Output and cell of an LSTM layer, batch×hidden each.
type State = (Tensor<2>, Tensor<2>);

/// An LSTM layer (Hochreiter, Schmidhuber 1997; with forget gates), with the four gates i, g, f, o side by side.
///
/// Burn's LSTM starts from an f32 state for any parameter type, which fails in f64.
#[derive(Module, Debug)]
struct Lstm {
    /// inputs×4·hidden.
    input: Param<Tensor<2>>,
    /// hidden×4·hidden.
    recurrent: Param<Tensor<2>>,
    /// 4·hidden.
    bias: Param<Tensor<1>>,
}

impl Lstm {
    fn new(inputs: usize, hidden: usize, init: &mut Init) -> Self {
        Self {
            input: init.normal([inputs, 4 * hidden], inputs + hidden),
            recurrent: init.normal([hidden, 4 * hidden], inputs + hidden),
            bias: init.constant(4 * hidden, 0.0),
        }
    }

    /// The states after each step, (time·batch)×hidden, for `inputs` already multiplied by the input matrix,
    /// (time·batch)×4·hidden. Starts from `state` (zeros for `None`) and writes the last state there.
    fn run(&self, inputs: Tensor<2>, time: usize, state: &mut Option<State>) -> Tensor<2> {
        let [rows, width] = inputs.dims();
        let batch = rows / time;
        let recurrent = self.recurrent.val();
        let zeros = Tensor::zeros([batch, width / 4], (&inputs.device(), recurrent.dtype()));
        let (mut h, mut c) = state.take().unwrap_or((zeros.clone(), zeros));
        let mut states = Vec::with_capacity(time);
        let mut steps = Vec::with_capacity(time);
        halves(inputs + self.bias.val().unsqueeze(), time, &mut steps);
        for inputs in steps {
            let gates = inputs + h.matmul(recurrent.clone());
            let gate = |index| gates.clone().narrow(1, index * width / 4, width / 4);
            c = sigmoid(gate(2)) * c + sigmoid(gate(0)) * gate(1).tanh();
            h = sigmoid(gate(3)) * c.clone().tanh();
            states.push(h.clone());
        }
        *state = Some((h, c));
        Tensor::cat(states, 0)
    }
}

/// Splits the rows into `time` equal parts by repeated halving: the gradient of a slice has the size of the sliced
/// tensor, so that slicing off one part after another would cost time² in the backward pass, and halving costs time·log
/// time.
fn halves(rows: Tensor<2>, time: usize, parts: &mut Vec<Tensor<2>>) {
    if time == 1 {
        parts.push(rows);
        return;
    }
    let [count, _] = rows.dims();
    let (batch, half) = (count / time, time / 2);
    halves(rows.clone().narrow(0, 0, half * batch), half, parts);
    let rest = time - half;
    halves(rows.narrow(0, half * batch, rest * batch), rest, parts);
}
