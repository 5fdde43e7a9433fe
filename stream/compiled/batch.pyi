from stream.core import ApplyBatch, UsersOf

users_of: UsersOf
apply_batch: ApplyBatch
