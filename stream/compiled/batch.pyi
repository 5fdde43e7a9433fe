from stream.batch.core import ApplyBatch, UsersOf

users_of: UsersOf
apply_batch: ApplyBatch
