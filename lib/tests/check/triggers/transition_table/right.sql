create trigger x after insert on t referencing new table as n for each statement execute function f();
