create trigger x after update on t referencing new table as n for each statement execute function f();
