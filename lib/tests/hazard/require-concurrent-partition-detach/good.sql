-- pum: no-transaction

alter table s.reading detach partition s.reading_2023 concurrently;
