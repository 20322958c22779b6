#ifndef PENSTOCK_MODELS_LAYERS_RECURRENCE_H_
#define PENSTOCK_MODELS_LAYERS_RECURRENCE_H_

#include <ATen/core/Tensor.h>

#include "models/layers/layer_call.h"

namespace penstock {

// The recurrent half of an LSTM (Hochreiter and Schmidhuber 1997; forget gates
// as Gers et al. 2000): from what the input gives to the gates, [b, s, 4h] in
// the order input, forget, cell, output, to the hidden states [b, s, h]. Starts
// from zeros. `weight` is the index of the parameter [4h, h] by which the last
// hidden state reaches the gates.
//
// One step of autograd for the whole sequence: its backward runs through time
// once, and the weight's gradient is one product over all of it. That product
// goes into the call's weight queue if there is one (split_ops.h), with the
// same bits as without.
at::Tensor LstmRecurrence(const LayerCall& call, const at::Tensor& gates,
                          int weight);

}  // namespace penstock

#endif  // PENSTOCK_MODELS_LAYERS_RECURRENCE_H_
