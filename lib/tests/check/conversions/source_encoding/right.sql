create conversion c for 'LATIN3' to 'UTF8' from iso8859_to_utf8;
