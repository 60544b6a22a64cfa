//! The paper's task LM: a language model over characters with two LSTM layers.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::activation::{log_softmax, relu, sigmoid};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use super::init::Init;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CharLstmConfig {
    pub symbols: usize,
    pub hidden: usize,
}

impl Default for CharLstmConfig {
    fn default() -> Self {
        Self { symbols: 128, hidden: 256 }
    }
}

impl CharLstmConfig {
    pub fn init(&self, seed: u64, device: &Device) -> CharLstm {
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

#[derive(Module, Debug)]
struct Lstm {
    input: Param<Tensor<2>>,
    recurrent: Param<Tensor<2>>,
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

    fn start(&self, batch: usize) -> (Tensor<2>, Tensor<2>) {
        let weight = self.recurrent.val();
        let [hidden, _] = weight.dims();
        let zeros = Tensor::zeros([batch, hidden], (&weight.device(), weight.dtype()));
        (zeros.clone(), zeros)
    }

    fn cell(&self, gates: Tensor<2>, c: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let [i, g, f, o]: [Tensor<2>; 4] = gates.chunk(4, 1).try_into().unwrap();
        let c = sigmoid(f) * c + sigmoid(i) * g.tanh();
        let h = sigmoid(o) * c.clone().tanh();
        (h, c)
    }
}

#[derive(Module, Debug)]
pub struct CharLstm {
    first: Lstm,
    second: Lstm,
    dense: Linear,
    output: Linear,
}

fn split(sequence: Tensor<3>) -> Vec<Tensor<2>> {
    let [time, batch, width] = sequence.dims();
    if time == 1 {
        return vec![sequence.reshape([batch, width])];
    }
    let half = time / 2;
    let mut steps = split(sequence.clone().narrow(0, 0, half));
    steps.extend(split(sequence.narrow(0, half, time - half)));
    steps
}

impl CharLstm {
    pub fn forward(&self, variant: usize, tokens: Tensor<2, Int>) -> Tensor<2> {
        let [batch, time] = tokens.dims();
        let (mut h1, mut c1) = self.first.start(batch);
        let (mut h2, mut c2) = self.second.start(batch);
        let ids = tokens.swap_dims(0, 1);
        let mut outs = Vec::new();
        match variant {
            0 => {
                for t in 0..time {
                    let id = ids.clone().narrow(0, t, 1).reshape([batch]);
                    let x = self.first.input.val().select(0, id);
                    let gates = x + h1.matmul(self.first.recurrent.val()) + self.first.bias.val().unsqueeze();
                    (h1, c1) = self.first.cell(gates, c1);
                    let gates = relu(h1.clone()).matmul(self.second.input.val())
                        + h2.matmul(self.second.recurrent.val())
                        + self.second.bias.val().unsqueeze();
                    (h2, c2) = self.second.cell(gates, c2);
                    outs.push(h2.clone());
                }
            }
            _ => {
                let x = self.first.input.val().select(0, ids.reshape([time * batch])) + self.first.bias.val().unsqueeze();
                let mut hs = Vec::new();
                for x in split(x.reshape([time as i32, batch as i32, -1])) {
                    let gates = x + h1.matmul(self.first.recurrent.val());
                    (h1, c1) = self.first.cell(gates, c1);
                    hs.push(h1.clone());
                }
                let x = relu(Tensor::cat(hs, 0)).matmul(self.second.input.val()) + self.second.bias.val().unsqueeze();
                for x in split(x.reshape([time as i32, batch as i32, -1])) {
                    let gates = x + h2.matmul(self.second.recurrent.val());
                    (h2, c2) = self.second.cell(gates, c2);
                    outs.push(h2.clone());
                }
            }
        }
        self.output.forward(relu(self.dense.forward(Tensor::cat(outs, 0))))
    }

    pub fn loss(&self, variant: usize, tokens: Tensor<2, Int>, targets: Tensor<2, Int>) -> Tensor<1> {
        let scores = log_softmax(self.forward(variant, tokens), 1);
        let [b, t] = targets.dims();
        scores.gather(1, targets.swap_dims(0, 1).reshape([b * t, 1])).mean().neg()
    }
}
