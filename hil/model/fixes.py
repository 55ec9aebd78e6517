"""What cures a model that is refused: settings of the converter, changes of the network."""

from __future__ import annotations

from collections.abc import Mapping

from hil.model.batch import BATCH_FIX

INT8_FIX = (
    "convert with converter.optimizations = [tf.lite.Optimize.DEFAULT], a representative_dataset, "
    "target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8], "
    "inference_input_type = tf.int8 and inference_output_type = tf.int8"
)
DENSE_FIX = (
    "convert with converter._experimental_disable_per_channel_quantization_for_dense_layers = True "
    "(this kernel reads the first scale only and gives wrong results without an error)"
)
UPSTREAM_FIX = "run it on today's TFLM, which can do this: --hil-tflm=upstream (docs/upstream.md)"
OPEN_BATCH_FIX = (
    "it comes from the open batch dimension (around Conv1D, Flatten, Reshape): "
    "build or clone the model with tf.keras.Input(batch_shape=(1, ...)) before converting"
)
RESCALE_FIX = "convert with a current TFLiteConverter, which gives such tensors one scale"
OPERATOR_FIXES: Mapping[str, str] = {
    **{name: f"make it part of the layer before: activation={name.lower()!r} there" for name in ("RELU", "RELU6")},
    "SHAPE": f"it comes from a size that is only known when the model runs: give Reshape fixed sizes, and {BATCH_FIX}",
    "EXPAND_DIMS": "it comes from Conv1D: use Conv2D with a width of 1",
    "SQUEEZE": "it comes from Conv1D or a squeezed axis: use Conv2D with a width of 1, or Reshape to a fixed shape",
    "MEAN": "replace GlobalAveragePooling by AveragePooling2D over the whole feature map, followed by Flatten",
    "SUM": "replace the sum by AveragePooling2D and fold the factor into the next layer",
    "REDUCE_MAX": "replace GlobalMaxPooling by MaxPooling2D over the whole feature map, followed by Flatten",
    "TRANSPOSE": "lay the data out so that no transpose is needed (channels last)",
    "HARD_SWISH": "use relu6 as activation",
    "LEAKY_RELU": "use relu or PReLU as activation",
    "ELU": "use relu as activation",
    "GELU": "use relu as activation",
    "EXP": "use softmax or sigmoid, which this TFLM has",
    "DIV": "multiply by the reciprocal",
    "SPLIT_V": "split into equal parts (SPLIT)",
    "BATCH_MATMUL": "use Dense with constant weights",
    "TRANSPOSE_CONV": "use UpSampling2D (nearest) followed by Conv2D",
    "RESIZE_BILINEAR": "use nearest-neighbour resizing",
    "GATHER": "slice with fixed indices (STRIDED_SLICE)",
    "SLICE": "slice with fixed steps (STRIDED_SLICE)",
    "CAST": "keep one type through the model",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "use convolutions, or a streaming SVDF",
    "WHILE": "unroll the loop: RNN(..., unroll=True)",
    **{
        name: "it comes from a stateful layer: keep the state outside and make it part of the window"
        for name in ("CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE")
    },
}
GENERAL_OPERATOR_FIX = "replace the layer that makes it by one of the operators in docs/case-format.md"
