from stream.core import ApplyBatch

apply_batch: ApplyBatch
