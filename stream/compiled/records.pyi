from stream.core import ReadRecords

read_records: ReadRecords
