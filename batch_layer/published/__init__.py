"""Published versions for analysts: by SQL, by an Iceberg catalogue, as files."""
