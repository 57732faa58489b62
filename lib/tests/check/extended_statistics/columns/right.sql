create statistics s on a, c from t;
