"""What vulture takes for dead and is not: names that others look up. `make lint` reads this file.

Each group says who does. Add a name only with its reader; delete what nobody reads.
"""
# ruff: noqa: B018, F821

# asyncio, uvicorn and the standard library call these, or read them.
_.data_received
_.connection_made
_.connection_lost
_.wait_closed
_.should_exit
_.capture_signals
_.timeout_graceful_shutdown
_.ws
_.http
_.redirect_request
_.find_class
_.persistent_load
_.seekable, _.readinto, _.readall  # io.BufferedReader
_.trust_env  # httpx
_.no_wrap  # Rich

# BentoML's builder.
_._freeze_python_requirements

# Airflow: its triggerer, notifiers, listeners and plugins.
_.serialize
_.shared_stream_key
_.create_shared_stream_producer
_.filter_shared_stream
_.open_stream
_.notify
_._evaluate_with
_.LatenessPlugin
_.deadline_references

# BentoML serves a class that it finds by name.
_.Batchable

# Keras, tf.data and Optuna.
_.on_train_batch_end
_.trainable
_.deterministic
_.apply_default_optimizations
_.sampler

# pydicom writes what is assigned.
_.PatientID
_.PatientName
_.PatientIdentityRemoved
_.DeidentificationMethod
_.MediaStorageSOPClassUID
_.MediaStorageSOPInstanceUID
_.ImplementationClassUID
_.ImplementationVersionName
_.NumberOfFrames
_.BitsAllocated
_.BitsStored
_.HighBit
_.PixelRepresentation
_.SamplesPerPixel
_.PlanarConfiguration
_.PixelData
_.is_undefined_length
_.TransferSyntaxUID
_.reading_validation_mode

# pydantic calls this, and writes fields that only people and other programs read.
_.settings_customise_sources
_.changed_images
_.original_image
_.heatmap_overlay
_.overview
_.visualization
_.analysis
_.processing_time
_.model_loaded
_.dataset_title
_.image_size
_.registry_detail
_.kept_until
_.labels_from
_.credit

# Rules of the gate, which reads them by name (`pipelines.release.trust_rules`).
_.max_leaked
_.min_inside_body
_.min_pointing_game
_.min_pointing_gain
_.min_faithfulness
_.max_sanity_correlation
_.max_background_kappa
_.min_source_accuracy

# pydantic-settings and PySpark look for them.
_.get_field_value
_._jvm

# Types inside quoted annotations.
_.Expectation
_.AbstractDataContext
_.StructType
_.ModelVersion
_.LogisticRegressionModel

# Says what each number of the fingerprint is, for people and for the tests.
_.TRACES

# Settings that `retention.item.days_of` reads by the name of their kind.
_.keep_prepared_days
_.keep_bundles_days
_.keep_cache_days
_.keep_scores_days
_.keep_served_days
_.keep_checks_days
_.keep_work_days

# Columns of Delta tables (`pipelines.data.rows`), read by name.
_.first_test, _.first_training
_.first_revision

# hatchling finds them (`stack/build_hook.py`).
_.WheelBuildHook
_.initialize
