"""Published versions as analysts read them: by SQL, by an Iceberg catalogue, as files."""
