"""Training on one device or on several, through TensorFlow's distribution strategies.

    single        one device; Keras's `fit`
    mirrored      every GPU of this machine, or every logical processor
    multiworker   several machines, described by TF_CONFIG

Where there are several devices, a loop of our own goes over Keras's training step: `fit` does not work
with several machines (github.com/keras-team/keras/issues/20585), nor with shares of two sizes.

The batch of a step is that of one device, shared out evenly. A replica's loss is an average over its
share, divided by the number of replicas, so that gradients add up to those of one device.
"""

import json
import os
from contextlib import nullcontext

import keras
import tensorflow as tf

from pcnn_keras.errors import InputError, reason
from pcnn_keras.network.model import build_model
from pcnn_keras.training.optimizers import OPTIMIZERS, Muon


class Single:
    """One device.

    Attributes:
        replicas: among how many devices a batch is shared out.
        writes: whether this process writes the run's folder.
        optimizers: as `optimizers.OPTIMIZERS`.
    """

    replicas = 1
    writes = True
    optimizers = OPTIMIZERS

    def scope(self):
        """Where the model and its optimizer are made."""
        return nullcontext()

    def outside(self, model):
        """A model that is not bound to the strategy."""
        return model

    def any(self, flag):
        """Whether the flag is set in any process. All have to ask, and get the same answer."""
        return flag

    def fit(self, model, batches, held_out, **options):
        """`model.fit`. Each of `batches` is shared out; of `held_out`, devices take the elements in turn.

        `options`: `callbacks`, `verbose`, `initial_epoch`, `epochs` and `steps_per_epoch`.
        """
        model.fit(batches, validation_data=held_out, shuffle=False, **options)


class Mirrored(Single):
    """Several devices of this machine."""

    def __init__(self):
        self._strategy = self._make()
        self.replicas = self._strategy.num_replicas_in_sync
        self.optimizers = SHARED

    def _make(self):
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in devices])

    def scope(self):
        return self._strategy.scope()

    def outside(self, model):
        """One of the same weights: what is made in the scope predicts each batch on every device, and gives all."""
        copy = build_model(model.config)
        copy.set_weights(model.get_weights())
        return copy

    def fit(self, model, batches, held_out, **options):
        """What `model.fit` does."""
        steps = _Steps(self._strategy, model)
        policy = tf.data.Options()
        policy.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
        batches = iter(self._strategy.experimental_distribute_dataset(batches.with_options(policy)))
        shares = self._strategy.distribute_datasets_from_function(
            lambda machine: held_out.shard(machine.num_input_pipelines, machine.input_pipeline_id))
        callbacks = keras.callbacks.CallbackList(
            options["callbacks"], add_progbar=options["verbose"] > 0, model=model, verbose=options["verbose"],
            epochs=options["epochs"], steps=options["steps_per_epoch"])
        callbacks.on_train_begin()
        for epoch in range(options["initial_epoch"], options["epochs"]):
            model.reset_metrics()
            callbacks.on_epoch_begin(epoch)
            for i in range(options["steps_per_epoch"]):
                callbacks.on_train_batch_begin(i)
                callbacks.on_train_batch_end(i, {name: float(value) for name, value in steps.train(batches).items()})
            logs = steps.results()
            model.reset_metrics()
            iterator = iter(shares)
            callbacks.on_test_begin()
            for i in range(int(held_out.cardinality()) // self.replicas):
                callbacks.on_test_batch_begin(i)
                steps.test(iterator)
                callbacks.on_test_batch_end(i)
            judged = steps.results()
            callbacks.on_test_end(judged)
            callbacks.on_epoch_end(epoch, logs | {f"val_{name}": value for name, value in judged.items()})
            if model.stop_training:
                break
        callbacks.on_train_end()


class _Steps:
    """Keras's steps, on all devices.

    All that devices do together is inside a graph: outside, TensorFlow leaves a thread behind if it fails.
    """

    def __init__(self, strategy, model):
        self._strategy, self._model = strategy, model

    @tf.function
    def train(self, batches):
        logs = self._strategy.run(self._model.train_step, args=(next(batches),))  # each of its own share
        return {name: self._strategy.reduce("MEAN", value, axis=None) for name, value in logs.items()}

    @tf.function
    def test(self, shares):
        self._strategy.run(self._model.test_step, args=(next(shares),))

    @tf.function
    def _metrics(self):
        return self._model.get_metrics_result()

    def results(self):
        """What the metrics have come to, numbers by name."""
        return {name: float(value) for name, value in self._metrics().items()}


class MultiWorker(Mirrored):
    """Several machines. Has to be made before TensorFlow is used for anything else.

    Raises:
        InputError: if TF_CONFIG does not describe a cluster, or it cannot be joined.
    """

    def __init__(self):
        index, workers = self._place()
        print(f"Worker {index} of {workers}: waiting for the others.", flush=True)
        super().__init__()
        self.writes = index == 0
        self._number_of = tf.function(self._sum)

    def _make(self):
        try:
            return tf.distribute.MultiWorkerMirroredStrategy()
        except (tf.errors.OpError, RuntimeError, ValueError) as error:
            raise InputError(f"The cluster of TF_CONFIG cannot be joined: {reason(error)}") from error

    def _sum(self, flag):
        return self._strategy.reduce("SUM", self._strategy.run(tf.identity, args=(flag,)), axis=None)

    def any(self, flag):
        return bool(self._number_of(tf.constant(float(flag))))

    @staticmethod
    def _place():
        try:
            config = json.loads(os.environ["TF_CONFIG"])
            workers, task = config["cluster"]["worker"], config["task"]
            if len(config["cluster"]) == 1 and task["type"] == "worker" and task["index"] in range(len(workers)):
                return task["index"], len(workers)
        except (KeyError, TypeError, ValueError):
            pass
        raise InputError('--strategy multiworker needs TF_CONFIG, such as {"cluster": {"worker": ["host1:2222", '
                         '"host2:2222"]}, "task": {"type": "worker", "index": 0}}.')

    def fit(self, *args, **kwargs):
        """As of one machine, in each of them.

        Raises:
            ConnectionError: if another machine is lost.
        """
        try:
            super().fit(*args, **kwargs)
        except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError) as error:
            raise ConnectionError("another machine was lost") from error


STRATEGIES = {"single": Single, "mirrored": Mirrored, "multiworker": MultiWorker}


class _ClipsTheSum(keras.optimizers.Optimizer):
    """Clips the gradient of the whole batch. Keras's own clips each replica's share, before they are added up."""

    def __init__(self, learning_rate, global_clipnorm):
        super().__init__(learning_rate)
        self._clip = global_clipnorm

    def apply(self, grads, trainable_variables=None):
        replicas = tf.distribute.get_replica_context()
        if self._clip:
            grads, _ = tf.clip_by_global_norm(replicas.all_reduce("SUM", grads), self._clip)
            grads = [gradient / replicas.num_replicas_in_sync for gradient in grads]  # they are about to be added up
        super().apply(grads, trainable_variables)


class SharedAdam(_ClipsTheSum, keras.optimizers.Adam):
    """Adam that clips the gradient of the whole batch, not that of each device."""


class SharedMuon(_ClipsTheSum, Muon):
    """Muon that clips the gradient of the whole batch, not that of each device."""


SHARED = {"adam": SharedAdam, "muon": SharedMuon}
