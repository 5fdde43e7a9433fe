from stream.core import MergeHeads

merge_heads: MergeHeads
