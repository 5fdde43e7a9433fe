"""onnxruntime as every model here runs in it: one thread, on the processor, and no word to its maker."""

import os

# From 1.29 on it reports sessions to its maker's server, from the moment of its import, unless this is set.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime


def open_session(model: bytes) -> onnxruntime.InferenceSession:
    """A session for a model; raises what onnxruntime raises, whose errors have no common base."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
