create conversion c for 'LATIN1' to 'UTF8' from f;
