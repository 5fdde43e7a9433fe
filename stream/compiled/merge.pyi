from stream.batch.core import MergeHeads

merge_heads: MergeHeads
