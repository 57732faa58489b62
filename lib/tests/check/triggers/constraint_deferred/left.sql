create constraint trigger x after insert on t deferrable for each row execute function f();
