"""What learns from a stream of answers: calibration of a model, members beside it, and their mixture.

Everything learnt is one vector of sums (`models.online.sums`): those of partitions add up to those of the
shop. An answer is asked for with what is known before it, and learnt afterwards (`models.online.learning`).
"""
