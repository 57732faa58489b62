create table s.reading_2025 (like s.reading);
alter table s.reading attach partition s.reading_2025 for values from ('2025-01-01') to ('2026-01-01');
