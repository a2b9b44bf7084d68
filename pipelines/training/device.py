"""What training calculates on: the processor, or a GPU where TensorFlow finds one."""

import logging

logger = logging.getLogger(__name__)

CPU = "CPU"


def use_device() -> str:
    """Let TensorFlow take a GPU's memory bit by bit, as others may work on it too.

    Returns:
        The GPUs' names, or ``CPU``.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:
            logger.debug("TensorFlow runs already; %s stays as it is", gpu.name)
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return ", ".join(found.get("device_name", "GPU") for found in details) or CPU
