"""Work beside the stream: derived values by subject, made in a process of its own and kept as snapshots.

A commit makes derived values stale; nothing of what follows is part of the commit or delays one:

1. `triggers`: each registered job says which subjects a commit that is in Redis has made stale. Their ids
   wait in memory, each once, for a quarter of a second.
2. `store`: they are put into the queues of the partitions that own the subjects, sorted sets in Redis from id
   to the time from which the subject may be worked on. So a trigger reaches the owner whoever saw it, a
   subject never waits twice, and a queue goes with its partition from worker to worker.
3. `runner`: the owner takes what is due, of each job the longest due first and the jobs in turns, and has it
   run by `process`.
4. `store`: the value is written under the fence of the partition's epoch, together with the subject's place
   in the queue and the record for the job's topic.

What holds: a subject in a queue stays there until its snapshot is written; a worker that dies leaves it to
the next owner of the partition, when the lease under which it was taken has ended. A snapshot may be made
twice, and never replaces a newer one. What may be lost is a trigger: if the worker dies or Redis loses its
last second between the commit and the queue, or if the queue is full. The next commit about the subject
brings it back, and a job with `refresh_s` makes every known subject's snapshot again after that time in any
case.
"""
