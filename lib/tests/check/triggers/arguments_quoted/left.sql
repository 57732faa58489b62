create trigger x before update on t for each row execute function f('it''s', '', 'ä\b');
