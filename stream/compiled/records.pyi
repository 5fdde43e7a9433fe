from stream.batch.core import ReadRecords

read_records: ReadRecords
