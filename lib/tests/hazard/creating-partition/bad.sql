create table s.reading_2025 partition of s.reading for values from ('2025-01-01') to ('2026-01-01');
