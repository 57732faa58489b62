create conversion c for 'UTF8' to 'LATIN3' from utf8_to_iso8859;
