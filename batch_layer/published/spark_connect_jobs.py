"""The jobs of Spark Connect's statements in Spark's own process: which run, and an end for those that must not."""

from typing import Any

from pyspark.sql import SparkSession

TAG_PREFIX = "SparkConnect_OperationTag_"
"""Spark marks each job of a statement with a tag that begins so and ends with the statement's operation id."""
BEFORE_ID = "_Operation_"


class StatementJobs:
    """Spark's own interrupt of a statement wakes its thread once.

    A thread that is planning may overlook that and start its job afterwards. Then only an end of the job itself helps.
    """

    def __init__(self, spark: SparkSession) -> None:
        self._context = spark.sparkContext
        java: Any = spark._jvm
        self._running = [java.org.apache.spark.JobExecutionStatus.RUNNING]
        self._as_java = java.scala.jdk.javaapi.CollectionConverters.asJava

    def running(self) -> dict[str, str]:
        """Return the tag of each statement that has a running job, by its operation id."""
        jobs = self._as_java(self._context._jsc.sc().statusStore().jobsList(self._running))
        tags = [str(tag) for job in jobs for tag in self._as_java(job.jobTags())]
        return {tag.rpartition(BEFORE_ID)[2]: tag for tag in tags if tag.startswith(TAG_PREFIX)}

    def cancel(self, tag: str) -> None:
        """End the running jobs with a tag."""
        self._context.cancelJobsWithTag(tag)
